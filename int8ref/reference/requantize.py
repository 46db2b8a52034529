"""A value on a new scale."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec import arithmetic
from int8ref.spec.arithmetic import MAX_SHIFT, WIDE_MAX
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, PerChannel, Result, Rows, Tensor


class Requantize(Instruction, frozen=True):
    """out = requantize(x): int32 accumulators to int16."""

    x: Annotated[str, Rows("int32")]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    shift: Annotated[str, Tensor("int8", (1,), 1, MAX_SHIFT)]
    limit: Annotated[int, Constant(1, WIDE_MAX)]
    out: Annotated[str, Result("int16")]


def requantize(
    x: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
    limit: int,
) -> npt.NDArray[np.int16]:
    """Bring a value to a new scale.

        out[r, n] = saturate(rounding_shift_right(x[r, n] * multiplier[n], shift))          (A2)

    `x`: int32 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n]; `shift`: int8 [1] in
    [1, 62]; out: int16 [rows, n] in [-limit, limit].
    """
    return arithmetic.requantize(x, multiplier, shift, -limit, limit).astype(np.int16)
