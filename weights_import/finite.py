"""Values that are no numbers any more: where they arise, and which weights they may come from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weights_import.float_model import CheckpointError, Float32, FloatModel

quietly = np.errstate(over="ignore", invalid="ignore", divide="ignore")
"""NumPy's warnings come where a number leaves float32; `require_finite` says what they do not."""
NAMED = 3
"""The most weights that a message names."""


def require_finite(model: FloatModel, name: str, x: Float32) -> None:
    """Raises CheckpointError that names the value, and the weights to look at, unless all of `x` is
    finite."""
    wrong = x[~np.isfinite(x)]
    if wrong.size:
        raise CheckpointError(
            f"{name}: the float model itself gives {wrong[0]} here, as numbers leave float32"
            f" (3.4e38) or are divided by zero; {'; '.join(suspects(model, name))}: repair these"
            " weights, or scale them down"
        )


def suspects(model: FloatModel, name: str) -> Iterator[str]:
    """The largest weights of a model, and the tensors of zeros in the block of a value."""
    tensors = {id(tensor): (found, tensor) for found, tensor in model.tensors.items()}
    largest = sorted(map(largest_weight, tensors.values()), reverse=True)[:NAMED]
    yield "its largest weights are " + ", ".join(told for _, told in largest)
    block = f"{name.rpartition('.')[0]}."
    zeros = [n for n, x in tensors.values() if n.startswith(block) and not x.any()]
    if zeros:
        yield f"all zero are {', '.join(sorted(zeros))}"


def largest_weight(named: tuple[str, Float32]) -> tuple[float, str]:
    """The largest magnitude in a tensor, infinite for what is no number; and where it is."""
    name, tensor = named
    size = np.nan_to_num(np.abs(tensor), nan=np.inf, posinf=np.inf)
    at = np.unravel_index(size.argmax(), size.shape)
    place = ", ".join(map(str, at))
    return float(size[at]), f"{tensor[at]:.6g} in {name}[{place}]"
