"""Normalisation of the result of a sublayer, from accumulators to a term of the residual sum."""

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.reference.layer_norm import FRACTION_BITS, MAX_WIDTH, check_width
from int8ref.reference.layer_norm_l2 import normalized_bound
from int8ref.reference.presence import need_each_other
from int8ref.reference.rescale import MAX_EXPONENT
from int8ref.spec.arithmetic import (
    INT32_MAX,
    WIDE_MAX,
    bit_length,
    isqrt,
    reciprocal,
    require_range,
    rounding_shift_right,
    saturate,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, PerChannel, Result, Rows, Sizes, Tensor
from int8ref.spec.scope import Scope
from int8ref.spec.trace import note

__all__ = ["RmsNormBranch", "normalized_bound", "rms_norm_branch"]

WIDE_BITS = 15
EPSILON_BITS = 30
"""Bits of an epsilon, without its shift."""
MAX_EPSILON_SHIFT = 255


class RmsNormBranch(Instruction, frozen=True, kw_only=True):
    """out = rms_norm_branch(x)."""

    x: Annotated[str, Rows("int32")]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    gain: Annotated[str, Tensor("int16", (WIDTH,))]
    shift: Annotated[int, Constant(1, 30)]
    epsilon: Annotated[int, Constant(0, 1 << EPSILON_BITS)]
    epsilon_shift: Annotated[int, Constant(0, MAX_EPSILON_SHIFT)]
    exponent: Annotated[str, Rows("int8", 0)] | msgspec.UnsetType = msgspec.UNSET
    bias: Annotated[str, Tensor("int16", (WIDTH,))] | msgspec.UnsetType = msgspec.UNSET
    bias_shift: Annotated[int, Constant(0, 40)] | msgspec.UnsetType = msgspec.UNSET
    out: Annotated[str, Result("int16")]

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        width = sizes.of(WIDTH)
        scope.constant("width", width, 1, MAX_WIDTH)
        raised = [x is not msgspec.UNSET for x in (self.exponent, self.bias, self.bias_shift)]
        scope.require(any(raised) == all(raised), "exponent, bias and bias_shift need each other")
        gain = scope.facts.largest_magnitude(self.gain)
        largest = normalized_bound(width) * gain + 2 ** (self.shift - 1)
        scope.require(largest <= INT32_MAX, f"gain may reach {largest}, over 32 bits")


def rms_norm_branch(
    x: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int16],
    gain: npt.NDArray[np.int16],
    shift: int,
    epsilon: int,
    epsilon_shift: int,
    exponent: npt.NDArray[np.int8] | None = None,
    bias: npt.NDArray[np.int16] | None = None,
    bias_shift: int | None = None,
) -> npt.NDArray[np.int16]:
    """Divide each row of accumulators by the root of its mean square, then apply a gain.

        y[r, i] = x[r, i] * multiplier[i]                    (one scale for all columns; exact)
        e[r]    = max(bit_length(max(|y[r]|)) - 15, 0)
        u[r, i] = saturate16(rounding_shift_right(y[r, i], e[r]))                            (A1)
        d[r]    = epsilon_shift - 2 * e[r]
        v[r]    = n * sum(u[r]^2) + floor(epsilon * 2^min(d[r], 30))
        s[r]    = max(isqrt(v[r]), 1)                              (n times the root mean square)
        t[r, i] = rounding_shift_right(n * u[r, i] * inverse, k - 10)
                                                       (inverse, k) = reciprocal(s[r])   (A1, A3)
        out[r, i] = saturate16(rounding_shift_right(t[r, i] * gain[i], shift))               (A1)

    With `exponent`, `bias` and `bias_shift`, x is a matrix product of data that `rescale` has
    shifted, and

        y[r, i] = x[r, i] * multiplier[i] * 2^exponent[r] + bias[i] * 2^bias_shift

    The operands and results are

        x              int32 [rows, n], 1 <= n <= 8192
        multiplier     int16 in [0, 2^15), [1] or [n]
        gain           int16 [n]
        shift          1 to 30
        epsilon        0 to 2^30
        epsilon_shift  0 to 255; epsilon * 2^epsilon_shift is the epsilon of the norm in units of
                       n^2 y^2
        exponent       int8 [rows] in [0, 9], or None
        bias           int16 [n], or None
        bias_shift     0 to 40, or None
        out            int16 [rows, n] in [-32767, 32767]

    saturate16 clamps to [-32767, 32767].  |y| is below 2^57.  Each row has 15 bits whatever its
    size, because the norm cancels the size.  v is at most 2^56 + 2^60.  The root and the reciprocal
    round down, and every shift rounds half up.  |t| <= 2 * (isqrt(n) + 1) * 2^10.  A valid Program
    has |t * gain| + 2^(shift - 1) < 2^31.  The scale of x cancels, and the scale of the result is
    in gain and shift.  A row of zeros gives zeros.

    Raises `ValueError` if only some of `exponent`, `bias` and `bias_shift` are given.  Raises
    `OverflowError` if n or an exponent is outside its range.  No operand in these ranges makes v
    negative, or 2^62 or more.

    Source: Zhang and Sennrich 2019, Eq. 4, in integers.
    """
    need_each_other("rms_norm_branch", exponent=exponent, bias=bias, bias_shift=bias_shift)
    check_width(x)
    y = x.astype(np.int64) * multiplier
    if exponent is not None and bias is not None and bias_shift is not None:
        raised = require_range(exponent, 0, MAX_EXPONENT, "rms_norm_branch: exponent")
        y = (y << raised[:, None]) + (bias.astype(np.int64) << bias_shift)
    n = x.shape[1]
    e = np.maximum(bit_length(np.abs(y).max(axis=1, keepdims=True)) - WIDE_BITS, 0)
    u = saturate(rounding_shift_right(y, e), -WIDE_MAX, WIDE_MAX)
    d = np.minimum(epsilon_shift - 2 * e, EPSILON_BITS)
    small = (np.int64(epsilon) << np.maximum(d, 0)) >> np.minimum(np.maximum(-d, 0), 62)
    v = n * (u * u).sum(axis=1, keepdims=True) + small
    root = np.maximum(isqrt(v), 1)
    inverse, k = reciprocal(root)
    t = rounding_shift_right(n * u * inverse, k - FRACTION_BITS)
    for name, value in (("y", y), ("e", e), ("u", u), ("v", v), ("s", root), ("t", t)):
        note(name, value)
    out = saturate(rounding_shift_right(t * gain, shift), -WIDE_MAX, WIDE_MAX)
    return out.astype(np.int16)
