"""Log-probabilities of the logits of each row, in fixed point."""

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.reference.presence import need_each_other
from int8ref.spec import arithmetic
from int8ref.spec.arithmetic import (
    INT32_MAX,
    LOG_BITS,
    POWER_BITS,
    POWER_MAX_INPUT,
    exp2_precise,
    log2,
    require_range,
    rounding_shift_right,
    soft_cap,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, Result, Rows, Sizes
from int8ref.spec.scope import MAX_WIDTH, Scope
from int8ref.spec.trace import note

MAX_MULTIPLIER = (1 << 30) - 1
MAX_SHIFT = 36


class LogSoftmax(Instruction, frozen=True, kw_only=True):
    """out = log_softmax(x): a unit of x is multiplier * 2^-shift units of 2^-20 of an octave."""

    x: Annotated[str, Rows("int32")]
    multiplier: Annotated[int, Constant(1, MAX_MULTIPLIER)]
    shift: Annotated[int, Constant(0, MAX_SHIFT)]
    cap_multiplier: Annotated[int, Constant(1, INT32_MAX)] | msgspec.UnsetType = msgspec.UNSET
    cap_shift: Annotated[int, Constant(1, arithmetic.MAX_SHIFT)] | msgspec.UnsetType = msgspec.UNSET
    out: Annotated[str, Result("int32")]

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        capped = self.cap_multiplier is not msgspec.UNSET
        scope.require(
            capped == (self.cap_shift is not msgspec.UNSET),
            "cap_multiplier and cap_shift need each other",
        )

    @property
    def cap(self) -> tuple[int, int] | None:
        """Multiplier and shift of the soft cap of the logits; None without a cap."""
        if isinstance(self.cap_multiplier, int) and isinstance(self.cap_shift, int):
            return self.cap_multiplier, self.cap_shift
        return None

    def capped(self, x: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The logits in the units of `multiplier`: capped, if there is a cap."""
        return x if self.cap is None else soft_cap(x, *self.cap).astype(np.int32)

    def of(self, x: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The log-probabilities of logits."""
        return log_softmax(x, self.multiplier, self.shift, *(self.cap or ()))


def log_softmax(
    x: npt.NDArray[np.int32],
    multiplier: int,
    shift: int,
    cap_multiplier: int | None = None,
    cap_shift: int | None = None,
) -> npt.NDArray[np.int32]:
    """Binary logarithm of softmax: out = log2(2^(a x[n]) / sum_k 2^(a x[k])) * 2^20.

        z[r, n]   = min(rounding_shift_right((max(x[r]) - x[r, n]) * multiplier, shift), 2^30)  (A1)
        norm[r]   = log2(sum_n exp2_precise(z[r, n])) - 32 * 2^20                           (A5, A6)
        out[r, n] = max(-z[r, n] - norm[r], -2^30)

    `x`: int32 [rows, n], 1 <= n <= 2^20; `multiplier` in [1, 2^30); `shift` in [0, 36]; out: int32
    [rows, n] in [-2^30, 0], in units of 2^-20 of an octave.  a is the real value of a unit of x,
    times log2(e); multiplier * 2^-shift is a in units of 2^-20.  z and the logarithm are rounded
    half up; the powers are rounded down.  A larger logit never has a smaller result.

    With `cap_multiplier` in [1, 2^31) and `cap_shift` in [1, 62], capped logits replace x:

        x'[r, n] = soft_cap(x[r, n], cap_multiplier, cap_shift)                             (A8)

    Then a is the cap times 2^-30 * log2(e).

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

    Raises `OverflowError` if the number of columns, `multiplier` or `shift` lies outside its range,
    and `ValueError` if only one of `cap_multiplier` and `cap_shift` is given.

    Source: the softmax of Vaswani et al. 2017, section 3.4, with the base 2; the error bound is
    proved here.  Gemma Team 2024b (Gemma 2), section 2 (soft caps).
    """
    need_each_other("log_softmax", cap_multiplier=cap_multiplier, cap_shift=cap_shift)
    if cap_multiplier is not None and cap_shift is not None:
        x = soft_cap(x, cap_multiplier, cap_shift).astype(np.int32)
        note("capped", x)
    wide = np.asarray(x).astype(np.int64)
    require_range(wide.shape[1], 1, MAX_WIDTH, "log_softmax: columns")
    m = require_range(multiplier, 1, MAX_MULTIPLIER, "log_softmax: multiplier")
    require_range(shift, 0, MAX_SHIFT, "log_softmax: shift")
    distance = wide.max(axis=1, keepdims=True) - wide
    z = np.minimum(rounding_shift_right(distance * m, shift), POWER_MAX_INPUT)
    total = exp2_precise(z).sum(axis=1, keepdims=True, dtype=np.int64)
    norm = log2(total) - (POWER_BITS << LOG_BITS)
    for name, value in (("z", z), ("sum", total), ("norm", norm)):
        note(name, value)
    return np.maximum(-z - norm, -POWER_MAX_INPUT).astype(np.int32)
