"""Normalisation of rows to one Euclidean length."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import MAX_WIDTH, sum_of_squares
from int8ref.spec.arithmetic import (
    DATA_MAX,
    WIDE_MAX,
    isqrt,
    reciprocal,
    require_range,
    rounding_shift_right,
    saturate,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Result, Rows, Sizes
from int8ref.spec.scope import Scope
from int8ref.spec.trace import note

ROOT_BITS = 8
"""Fraction bits of the root."""


class Normalize(Instruction, frozen=True, kw_only=True):
    """out = normalize(x)."""

    x: Annotated[str, Rows("int16")]
    length: Annotated[int, Constant(1, WIDE_MAX)]
    out: Annotated[str, Result("int8")]

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        scope.constant("width", sizes.of(WIDTH), 1, MAX_WIDTH)


def normalize(x: npt.NDArray[np.int16], length: int) -> npt.NDArray[np.int8]:
    """Scale each row to the Euclidean length `length`.

        s[r]      = max(isqrt(2^16 * sum_c x[r, c]^2), 1)         (2^8 times the length of the row)
        (i, k)    = reciprocal(s[r])                                                         (A3)
        out[r, c] = saturate(rounding_shift_right(x[r, c] * length * i, k - 8), -127, 127)   (A1)

    `x`: int16 [rows, n], 1 <= n <= 8192; `length` in [1, 32767]; out: int8 [rows, n] in
    [-127, 127].  The sum is exact and at most 2^43.  The root and the reciprocal round down, and
    the shift rounds half up.  The product is at most 2^60.  The scale of x cancels.

    A row of out times 1 / length is a unit vector, up to the rounding.  Therefore the integer dot
    product of two rows, divided by length^2, is their cosine.  A row of zeros stays zero.  If
    `length` is above 127, a component above 127 / length of the whole row is cut to 127.

    Raises `OverflowError` if n or `length` is outside its range.

    Source: the normalisation of sentence embeddings, Reimers and Gurevych 2019, section 3.
    """
    wanted = require_range(length, 1, WIDE_MAX, "normalize: length")
    squares = sum_of_squares(x)
    root = np.maximum(isqrt(squares << (2 * ROOT_BITS)), 1)
    note("s", root)
    inverse, bits = reciprocal(root)
    scaled = rounding_shift_right(x.astype(np.int64) * wanted * inverse, bits - ROOT_BITS)
    return saturate(scaled, -DATA_MAX, DATA_MAX).astype(np.int8)
