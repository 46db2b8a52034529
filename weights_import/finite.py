"""Values that are not finite: their place, and the weights that may cause them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weights_import.arithmetic.extremes import extremes
from weights_import.errors import CheckpointError
from weights_import.tensors import Float32, Tensors

quietly = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""NumPy warns about numbers that leave float32.  The error of `require_finite` says more."""
NAMED = 3
"""The most weights that a message names."""


def require_finite(tensors: Tensors, name: str, x: Float32) -> tuple[Float32, Float32]:
    """The least and the largest value of each feature.

    Raises CheckpointError that names the value and the suspect weights, unless x is finite.
    """
    found = extremes(x)
    if not all(np.isfinite(ends).all() for ends in found):
        wrong = x[~np.isfinite(x)]
        raise CheckpointError(
            f"{name}: the float model itself gives {wrong[0]} here, as numbers leave float32"
            f" (3.4e38) or are divided by zero; {'; '.join(suspects(tensors, name))}: repair these"
            " weights, or scale them down"
        )
    return found


def suspects(tensors: Tensors, name: str) -> Iterator[str]:
    """The largest weights of a model, and the tensors of zeros in the block of a value."""
    names = {id(tensors.stored(name)): name for name in tensors}.values()
    largest = sorted((largest_weight(n, tensors[n]) for n in names), reverse=True)[:NAMED]
    yield "its largest weights are " + ", ".join(told for _, told in largest)
    block = f"{name.rpartition('.')[0]}."
    zeros = [n for n in names if n.startswith(block) and not tensors[n].any()]
    if zeros:
        yield f"all zero are {', '.join(sorted(zeros))}"


def largest_weight(name: str, tensor: Float32) -> tuple[float, str]:
    """The largest magnitude in a tensor, and its place; nan counts as infinite."""
    size = np.nan_to_num(np.abs(tensor), nan=np.inf, posinf=np.inf)
    at = np.unravel_index(size.argmax(), size.shape)
    place = ", ".join(map(str, at))
    return float(size[at]), f"{tensor[at]:.6g} in {name}[{place}]"
