"""Elementwise product of two tensors: a hidden layer and its gate."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import DATA_MAX, MAX_SHIFT, WIDE_MAX, requantize
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, PerChannel, Rows, Tensor, limited


class Multiply(Instruction, frozen=True, kw_only=True):
    """out = multiply(a, b)."""

    in_place = True

    a: Annotated[str, Rows("int16")]
    b: Annotated[str, Rows("int8")]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    shift: Annotated[str, Tensor("int8", (1,), 1, MAX_SHIFT)]
    limit: Annotated[int, Constant(1, WIDE_MAX)]
    out: Annotated[str, limited()]


def multiply(
    a: npt.NDArray[np.int16],
    b: npt.NDArray[np.int8],
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
    limit: int,
) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    """Multiply two tensors element by element.

        out[r, n] = requantize(a[r, n] * b[r, n], multiplier[n], shift, -limit, limit)      (A2)

    `a`: int16 [rows, n]; `b`: int8 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n];
    `shift`: int8 [1] in [1, 62]; `limit` in [1, 32767]; out: [rows, n] in [-limit, limit], int8 for
    limit <= 127, else int16.  The product is exact in int32 and is rounded once, half up.  The
    scale of the product is the product of the scales of a and b; multiplier * 2^-shift brings it to
    the scale of out.

    Raises `OverflowError` if a multiplier is negative, or if `shift` is negative or above 62.

    Source: the gated linear units of Shazeer 2020, Eq. 5.
    """
    product = a.astype(np.int64) * b
    out = requantize(product, multiplier, shift, -limit, limit)
    return out.astype(np.int8) if limit <= DATA_MAX else out.astype(np.int16)
