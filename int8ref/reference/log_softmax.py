"""Log-probabilities of the logits of each row, in fixed point."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import (
    LOG_BITS,
    POWER_BITS,
    POWER_MAX_INPUT,
    exp2_precise,
    log2,
    require_range,
    rounding_shift_right,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, Result, Rows
from int8ref.spec.scope import MAX_WIDTH

MAX_MULTIPLIER = (1 << 30) - 1
MAX_SHIFT = 36


class LogSoftmax(Instruction, frozen=True):
    """out = log_softmax(x): a unit of x is multiplier * 2^-shift units of 2^-20 of an octave."""

    x: Annotated[str, Rows("int32")]
    multiplier: Annotated[int, Constant(1, MAX_MULTIPLIER)]
    shift: Annotated[int, Constant(0, MAX_SHIFT)]
    out: Annotated[str, Result("int32")]


def log_softmax(x: npt.NDArray[np.int32], multiplier: int, shift: int) -> npt.NDArray[np.int32]:
    """Binary logarithm of softmax: out = log2(2^(a x[n]) / sum_k 2^(a x[k])) * 2^20.

        z[r, n]   = min(rounding_shift_right((max(x[r]) - x[r, n]) * multiplier, shift), 2^30)  (A1)
        norm[r]   = log2(sum_n exp2_precise(z[r, n])) - 32 * 2^20                           (A5, A6)
        out[r, n] = max(-z[r, n] - norm[r], -2^30)

    `x`: int32 [rows, n], 1 <= n <= 2^20; `multiplier` in [1, 2^30); `shift` in [0, 36]; out: int32
    [rows, n] in [-2^30, 0], in units of 2^-20 of an octave.  a is the real value of a unit of x,
    times log2(e); multiplier * 2^-shift is a in units of 2^-20.  z and the logarithm are rounded
    half up; the powers are rounded down.  A larger logit never has a smaller result.

    Unless the result is -2^30, it differs from the exact logarithm for this factor by less than
    1.7 + n / 2800 units.  For 32,000 columns this is 14 units, or 1.3e-5 octaves.  The proof adds
    the errors, in units:

        1/2         z of the result is rounded
        1/2         every z in the sum is rounded, and the logarithm of a sum of powers changes by
                    no more than the largest change of an exponent
        0.14        the powers have a relative error below 8.7e-8, and so has their sum; the factor
                    is 2^20 * log2(e)
        n * 2^-32   n powers are rounded down; this is the loss relative to a sum of at least 1,
                    and the logarithm loses 2^20 * log2(e) times as much (0.00036 n with the
                    second order)
        0.51        log2

    Raises `OverflowError` if the number of columns, `multiplier` or `shift` lies outside its range.

    Source: the softmax of Vaswani et al. 2017, section 3.4, with the base 2; the error bound is
    proved here.
    """
    wide = np.asarray(x).astype(np.int64)
    require_range(wide.shape[1], 1, MAX_WIDTH, "log_softmax: columns")
    m = require_range(multiplier, 1, MAX_MULTIPLIER, "log_softmax: multiplier")
    require_range(shift, 0, MAX_SHIFT, "log_softmax: shift")
    distance = wide.max(axis=1, keepdims=True) - wide
    z = np.minimum(rounding_shift_right(distance * m, shift), POWER_MAX_INPUT)
    total = exp2_precise(z).sum(axis=1, keepdims=True, dtype=np.int64)
    norm = log2(total) - (POWER_BITS << LOG_BITS)
    return np.maximum(-z - norm, -POWER_MAX_INPUT).astype(np.int32)
