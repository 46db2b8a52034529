"""Normalisation of queries or keys by the root of the mean square of each head."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import FRACTION_BITS, MAX_WIDTH, sum_of_squares
from int8ref.reference.layer_norm_l2 import normalized_bound
from int8ref.spec import scope as limits
from int8ref.spec.arithmetic import (
    INT32_MAX,
    WIDE_MAX,
    isqrt,
    reciprocal,
    rounding_shift_right,
    saturate,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, Result, Rows, Sizes, Tensor, size
from int8ref.spec.scope import Scope
from int8ref.spec.trace import note, of_head

__all__ = ["RmsNormHeads", "normalized_bound", "rms_norm_heads"]


class RmsNormHeads(Instruction, frozen=True, kw_only=True):
    """out = rms_norm_heads(x)."""

    in_place = True

    x: Annotated[str, Rows("int16")]
    gain: Annotated[str, Tensor("int16", (size("columns"),))]
    column: Annotated[int, Constant(0, limits.MAX_WIDTH)]
    heads: Annotated[int, Constant(1, 512)]
    head_width: Annotated[int, Constant(1, MAX_WIDTH)]
    shift: Annotated[int, Constant(1, 30)]
    epsilon: Annotated[int, Constant(0, 2**60)]
    out: Annotated[str, Result("int16")]

    @property
    def columns(self) -> int:
        """Number of columns that are normalised."""
        return self.heads * self.head_width

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        scope.constant("column", self.column, 0, sizes.value("width") - self.columns)
        gain = scope.facts.largest_magnitude(self.gain)
        largest = normalized_bound(self.head_width) * gain + 2 ** (self.shift - 1)
        scope.require(largest <= INT32_MAX, f"gain may reach {largest}, over 32 bits")


def rms_norm_heads(
    x: npt.NDArray[np.int16],
    gain: npt.NDArray[np.int16],
    column: int,
    heads: int,
    head_width: int,
    shift: int,
    epsilon: int,
) -> npt.NDArray[np.int16]:
    """Divide each head of a row by the root of its mean square, then apply a gain.

    The heads lie side by side from `column` on.  For head h with the columns
    first = column + h * head_width to first + head_width - 1, and i = 0 to head_width - 1:

        v    = head_width * sum_i(x[r, first + i]^2) + epsilon
        s    = max(isqrt(v), 1)                          (head_width times the root mean square)
        t[i] = rounding_shift_right(head_width * x[r, first + i] * inverse, k - 10)
                                                       (inverse, k) = reciprocal(s)    (A1, A3)
        y[i] = t[i] * gain[h * head_width + i]
        out[r, first + i] = saturate16(rounding_shift_right(y[i], shift))                    (A1)
        out[r, n] = x[r, n]                                           for every other column n

    The operands and results are

        x           int16 [rows, n]; all columns of a head have one scale
        gain        int16 [heads * head_width]
        column      0 to n - heads * head_width
        heads       1 to 512
        head_width  1 to 8192
        shift       1 to 30
        epsilon     0 to 2^60, in units of v
        out         int16 [rows, n]; normalised columns in [-32767, 32767]

    saturate16 clamps to [-32767, 32767].  v is exact, and at most 2^56 + 2^60.  The root and the
    reciprocal round down, and every shift rounds half up.  t has 10 fraction bits, and
    |t| <= 2 * (isqrt(head_width) + 1) * 2^10.  A valid Program has |y| + 2^(shift - 1) < 2^31.  The
    scale of x cancels, and the scale of the result is in gain and shift.  One head as wide as all
    queries or keys gives a norm of the whole row.

    Columns outside the heads, such as values beside queries and keys, are copied.

    Raises `OverflowError` if head_width is outside its range.  No operand in these ranges makes v
    negative, or 2^62 or more.

    Source: Zhang and Sennrich 2019, Eq. 4, for each head as in Dehghani et al. 2023, section 2.
    """
    out = x.copy()
    for h in range(heads):
        at = slice(column + h * head_width, column + (h + 1) * head_width)
        part = x[:, at]
        with of_head(slice(None), h):
            v = head_width * sum_of_squares(part) + epsilon
            root = np.maximum(isqrt(v), 1)
            inverse, k = reciprocal(root)
            scaled = head_width * part.astype(np.int64)
            t = rounding_shift_right(scaled * inverse, k - FRACTION_BITS)
            y = t * gain[h * head_width : (h + 1) * head_width]
            for name, value in (("v", v), ("s", root), ("t", t), ("y", y)):
                note(name, value)
        out[:, at] = saturate(rounding_shift_right(y, shift), -WIDE_MAX, WIDE_MAX)
    return out
