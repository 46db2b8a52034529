"""Narrowing: 16-bit data to 8-bit data on another scale."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import DATA_MAX, MAX_SHIFT, WIDE_MAX, requantize
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import PerChannel, Result, Rows, Tensor


class Narrow(Instruction, frozen=True):
    """out = narrow(x): int16 data to int8 data."""

    x: Annotated[str, Rows("int16")]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    shift: Annotated[str, Tensor("int8", (1,), 1, MAX_SHIFT)]
    out: Annotated[str, Result("int8")]


def narrow(
    x: npt.NDArray[np.int16], multiplier: npt.NDArray[np.int16], shift: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Bring 16-bit data to a scale on which 8 bits hold it, as the input of matrix products.

        out[r, n] = requantize(x[r, n], multiplier[n], shift, -127, 127)                    (A2)

    `x`: int16 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n]; `shift`: int8 [1] in
    [1, 62]; out: int8 [rows, n] in [-127, 127].  The product is exact and is rounded once, half up.

    Raises `OverflowError` if a multiplier is negative, or if `shift` is negative or above 62.

    Source: Jacob et al. 2018, Eq. 6.
    """
    return requantize(x, multiplier, shift, -DATA_MAX, DATA_MAX).astype(np.int8)
