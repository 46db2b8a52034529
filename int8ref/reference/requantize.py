"""Requantisation: int32 accumulators to int16 data."""

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
    """Bring a value to another scale.

        out[r, n] = requantize(x[r, n], multiplier[n], shift, -limit, limit)                (A2)

    `x`: int32 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n]; `shift`: int8 [1] in
    [1, 62]; `limit` in [1, 32767]; out: int16 [rows, n] in [-limit, limit].  The product is exact
    in int64 and is rounded once, half up.

    Raises `OverflowError` if a multiplier is negative, or if `shift` is negative or above 62.

    Source: Jacob et al. 2018, Eq. 6.
    """
    return arithmetic.requantize(x, multiplier, shift, -limit, limit).astype(np.int16)
