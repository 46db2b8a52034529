"""Single weights that are much larger than all others of their tensor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weights_import.arithmetic.sums import sum_of_squares
from weights_import.float_model import FloatModel
from weights_import.tensors import Float32

LARGEST_RATIO = 1000.0
"""The largest ratio without a warning: the largest weight over the root mean square of the others.
In trained matrices it is below 100."""


def outliers(model: FloatModel) -> Iterator[str]:
    """A warning for every tensor with one weight that is much larger than the others.

    The importer keeps the large weight, so 8 bits may not hold the others beside it.  Biases and
    gains count as 1 at least.  The bias of the output may be anything.
    """
    tensors = model.tensors
    names = {id(tensors.stored(name)): name for name in tensors if name != "output.bias"}
    for name in sorted(names.values()):
        tensor = tensors[name]
        at, others = beside_the_largest(tensor)
        usual = max(others, 1.0) if tensor.ndim == 1 else others
        if usual and abs(float(tensor[at])) > LARGEST_RATIO * usual:
            yield (
                f"{name}[{', '.join(map(str, at))}] is {tensor[at]:.6g}, the other weights about"
                f" {others:.2g}: 8 bits may not hold them beside it, and the model may be worse"
                " for it; if this weight is damaged, repair it"
            )


def beside_the_largest(tensor: Float32) -> tuple[tuple[int, ...], float]:
    """The place of the largest magnitude, and the root mean square of the others."""
    sizes = np.abs(tensor)
    at = tuple(map(int, np.unravel_index(sizes.argmax(), sizes.shape)))
    sizes[at] = 0
    second = float(sizes.max())
    if not second:
        return at, 0.0
    shares = (sizes / np.float32(second)).ravel().astype(np.float64)
    return at, second * float(np.sqrt(sum_of_squares(shares) / shares.size))
