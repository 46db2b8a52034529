"""Weights that leave no bits to the others of their tensor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weights_import.float_model import Float32, FloatModel

LARGEST_RATIO = 1000.0
"""Of the largest weight to the root mean square of the others, without a warning; it is below 100
in trained matrices."""


def outliers(model: FloatModel) -> Iterator[str]:
    """A warning for every tensor in which one weight is so large that integers of 8 bits may not
    hold the others beside it: the importer keeps the large one.

    Biases and gains are taken to be about 1 at least.  A bias of the output may be anything.
    """
    tensors = {id(x): (name, x) for name, x in model.tensors.items() if name != "output.bias"}
    for name, tensor in sorted(tensors.values(), key=lambda named: named[0]):
        at, others = beside_the_largest(tensor)
        usual = max(others, 1.0) if tensor.ndim == 1 else others
        if usual and abs(float(tensor[at])) > LARGEST_RATIO * usual:
            yield (
                f"{name}[{', '.join(map(str, at))}] is {tensor[at]:.6g}, the other weights about"
                f" {others:.2g}: 8 bits may not hold them beside it, and the model may be worse"
                " for it; if this weight is damaged, repair it"
            )


def beside_the_largest(tensor: Float32) -> tuple[tuple[int, ...], float]:
    """Where the largest magnitude is, and the root mean square of the rest, 0 where that is 0."""
    sizes = np.abs(tensor)
    at = tuple(map(int, np.unravel_index(sizes.argmax(), sizes.shape)))
    sizes[at] = 0
    second = float(sizes.max())
    if not second:
        return at, 0.0
    shares = sizes / np.float32(second)
    return at, second * float(np.sqrt(np.square(shares).mean()))
