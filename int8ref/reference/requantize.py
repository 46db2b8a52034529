"""Requantisation: int32 accumulators to int16 data."""

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.reference.rescale import MAX_EXPONENT
from int8ref.spec.arithmetic import MAX_SHIFT, WIDE_MAX, rounding_shift_right, saturate
from int8ref.spec.arithmetic import requantize as requantized
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, PerChannel, Result, Rows, Sizes, Tensor
from int8ref.spec.scope import Scope


class Requantize(Instruction, frozen=True, kw_only=True):
    """out = requantize(x): int32 accumulators to int16."""

    x: Annotated[str, Rows("int32")]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    shift: Annotated[str, Tensor("int8", (1,), 1, MAX_SHIFT)]
    limit: Annotated[int, Constant(1, WIDE_MAX)]
    exponent: Annotated[str, Rows("int8", 0)] | msgspec.UnsetType = msgspec.UNSET
    bias: Annotated[str, Tensor("int16", (WIDTH,))] | msgspec.UnsetType = msgspec.UNSET
    bias_shift: Annotated[int, Constant(0, 40)] | msgspec.UnsetType = msgspec.UNSET
    out: Annotated[str, Result("int16")]

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        raised = [x is not msgspec.UNSET for x in (self.exponent, self.bias, self.bias_shift)]
        scope.require(any(raised) == all(raised), "exponent, bias and bias_shift need each other")


def requantize(
    x: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
    limit: int,
    exponent: npt.NDArray[np.int8] | None = None,
    bias: npt.NDArray[np.int16] | None = None,
    bias_shift: int | None = None,
) -> npt.NDArray[np.int16]:
    """Bring a value to another scale.

        out[r, n] = requantize(x[r, n], multiplier[n], shift, -limit, limit)                (A2)

    `x`: int32 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n]; `shift`: int8 [1] in
    [1, 62]; `limit` in [1, 32767]; out: int16 [rows, n] in [-limit, limit].  The product is exact
    in int64 and is rounded once, half up.

    With `exponent`, `bias` and `bias_shift`, x is a matrix product of data that `rescale` has
    shifted, and the bias is added here, because no exponent applies to it:

        total[r, n] = x[r, n] * multiplier[n] * 2^exponent[r] + bias[n] * 2^bias_shift
        out[r, n]   = saturate(rounding_shift_right(total[r, n], shift), -limit, limit)         (A1)

    `exponent`: int8 [rows] in [0, 9]; `bias`: int16 [n]; `bias_shift` in [0, 40].  |total| is below
    2^57.

    Raises `OverflowError` if a multiplier is negative, or if `shift` is negative or above 62.

    Source: Jacob et al. 2018, Eq. 6.
    """
    if exponent is None or bias is None or bias_shift is None:
        return requantized(x, multiplier, shift, -limit, limit).astype(np.int16)
    products = x.astype(np.int64) * multiplier << exponent[:, None].astype(np.int64)
    total = products + (bias.astype(np.int64) << bias_shift)
    return saturate(rounding_shift_right(total, shift), -limit, limit).astype(np.int16)


assert 2**31 * 2**15 * 2**MAX_EXPONENT + 2**15 * 2**40 < 2**57
