"""Scales become integers: every multiplier and shift of a Program, fixed when a model is imported.

A tensor is a pair {x, s}: integers x and a scale s, with real value x * s.  A matrix product
multiplies scales, an addition matches them, and normalisations cancel the scale of their input
(Lin et al. 2020, section 3; there s is the inverse).  At run time no scale exists.  Only dyadic
numbers multiplier * 2^-shift are left of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.reference.linear import MAX_FACTOR_SHIFT
from int8ref.spec.arithmetic import LOG_BITS, MAX_SHIFT
from int8ref.spec.pair_sums import LARGEST_SUM, OFFSET
from weights_import.arithmetic.row_sizes import row_sizes
from weights_import.errors import LoweringError

Float64 = NDArray[np.float64]
Real = NDArray[np.floating[Any]]

DATA_MAX = 127
WIDE_MAX = 32767
LOG2_E = 1.4426950408889634
LARGEST_TURN = 1 << 29
"""The largest unit of a number on its way to a soft cap, in units of 2^-20."""
START_BITS = OFFSET.bit_length() - 1
"""Largest shift of a bias with which start values are whole numbers of its unit."""


BIAS_BITS, LOGIT_BITS = 8, 12
"""The largest shift that one large bias may cause for all biases of an instruction.  Logits have a
larger limit, because their products are larger."""


@contextmanager
def told_where(name: str) -> Iterator[None]:
    """Add the name of a part of the model to an error."""
    try:
        yield
    except LoweringError as error:
        raise LoweringError(f"{name}: {error}") from None


@dataclass(frozen=True)
class Quantized:
    """Integers and their scale: [1], or [n] for the n channels of the first axis."""

    x: NDArray[np.int8]
    scale: Float64


def dyadic(ratio: Real, low: int, high: int) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """(multiplier, shift) with multiplier * 2^-shift nearest to each positive ratio.

    The multiplier has 31 bits, [2^30, 2^31), unless the shift would leave [low, high]; then it has
    fewer.  Relative error below 2^-31.  Raises LoweringError for a ratio that has no such number.
    """
    mantissa, exponent = np.frexp(np.asarray(ratio, np.float64))
    shift = np.minimum(31 - exponent, high)
    multiplier = np.rint(np.ldexp(mantissa, shift + exponent))
    carried = multiplier >= 2**31
    multiplier, shift = np.where(carried, 2.0**30, multiplier), shift - carried
    if np.any(ratio <= 0) or np.any(shift < low):
        raise LoweringError(f"no shift from {low} on for a ratio of {np.max(ratio)}")
    return multiplier.astype(np.int32), shift.astype(np.int8)


def factors(ratio: Real, low: int, high: int) -> tuple[NDArray[np.int16], NDArray[np.int8]]:
    """(multiplier, shift) with multiplier * 2^-shift nearest to each positive ratio: int16, and one
    shift for all, int8 [1], the largest in [low, high] with which they fit.

    Raises LoweringError for ratios that have no such numbers.
    """
    shift = _shift_of(ratio, high)
    if np.any(ratio <= 0) or shift < low:
        raise LoweringError(f"no shift from {low} on for a ratio of {np.max(ratio)}")
    multiplier = np.rint(np.ldexp(np.asarray(ratio, np.float64), shift))
    return multiplier.astype(np.int16), np.array([shift], np.int8)


def whole_factors(scales: Real, wanted: Real, most: int = MAX_FACTOR_SHIFT) -> Float64:
    """The least scales that are not below `scales` and have exact `factors` to `wanted`.

    A scale grows by the rest of a division, which is at most 2^-14 of the largest scale.
    """
    unit = np.ldexp(wanted, -_shift_of(scales / wanted, most))
    found: Float64 = np.ceil(scales / unit) * unit
    return found


def _shift_of(ratio: Real, most: int) -> int:
    """The largest shift <= most with which these factors have 15 bits."""
    return largest_shift(float(np.max(ratio)), WIDE_MAX, most)


def cap_factors(scale: Float64, cap: float) -> tuple[NDArray[np.int32], int]:
    """(multiplier, shift) of `spec.arithmetic.soft_cap` for each scale of the numbers.

    A unit of more than LARGEST_TURN reaches the cap in any case.
    """
    turns = np.minimum(scale * (2 * LOG2_E / cap) * 2**LOG_BITS, LARGEST_TURN)
    shift = max(largest_shift(float(turns.max()), LARGEST_TURN, MAX_SHIFT), 1)
    return np.maximum(fixed_point(turns, shift), 1), shift


def fixed_point(ratio: Real, shift: int) -> NDArray[np.int32]:
    """round(ratio * 2^shift), which must fit in int32."""
    scaled = np.rint(np.ldexp(np.asarray(ratio, np.float64), shift))
    if np.any(np.abs(scaled) >= 2**31):
        raise LoweringError(f"{np.max(np.abs(ratio))} * 2^{shift} does not fit in 32 bits")
    return scaled.astype(np.int32)


def largest_shift(bound: float, limit: int, most: int) -> int:
    """The largest shift <= most with bound * 2^shift <= limit."""
    if float(np.ldexp(bound, most)) <= limit:
        return most
    return min(most, floor_log2(limit / bound))


def floor_log2(x: float) -> int:
    """The largest whole n with 2^n <= x, for a finite x > 0."""
    return int(np.frexp(x)[1]) - 1


def quantize(w: Real, scale: Real) -> Quantized:
    """round(w / scale) in [-127, 127], rounding half to even; `scale`: [1] or one a row of w."""
    step = np.asarray(scale, np.float64)
    x = w / step.reshape(-1, *[1] * (w.ndim - 1))
    np.clip(np.rint(x, out=x), -DATA_MAX, DATA_MAX, out=x)
    return Quantized(x.astype(np.int8), step)


def row_scales(w: Real, quads: bool = False) -> Float64:
    """The scale of each row of a weight at which its largest element becomes 127.

    With `quads`, sums of four products stay within 16 bits too (`int8ref.spec.pair_sums`).  A row
    of zeros has the largest scale of the other rows, because the factors of the other rows suit
    it.  If all rows are zero, their scale is 0.
    """
    largest, sums = row_sizes(w.astype(np.float64, copy=False))
    finest = largest / DATA_MAX
    if quads:
        finest = np.maximum(finest, sums / LARGEST_SUM)
    scales: Float64 = np.where(finest > 0, finest, finest.max())
    return scales


def shift_scales(finest: Float64, out_scale: Real) -> tuple[Float64, NDArray[np.int8]]:
    """Row scales and shifts for which scale / out_scale is exactly 2^-shift.

    `finest` are the finest scales of the accumulators.  This is the shift-only re-scaling of the
    paper (Lin et al. 2020) without a loss in the activations, because their scales stay free.  The
    shift determines the grid of each row of the weight.  The grid is at most twice as coarse as the
    finest grid that holds the row or its quads.
    """
    shift = np.frexp(out_scale / finest)[1].astype(np.int64) - 1
    if np.any(shift < 1):
        raise LoweringError("a weight is too large for a shift-only re-scaling")
    shift = np.minimum(shift, 30)
    return np.ldexp(np.broadcast_to(out_scale, shift.shape), -shift), shift.astype(np.int8)


def integer_bias(
    bias: Real, scale: Real | float, most: int = 15, sums: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int16], int]:
    """(x, s) with bias = x * 2^s * scale: x in int16, and the smallest s <= most for which x fits.

    `sums` are the sums of the rows of a weight.  An engine that raises int8 inputs by 128 starts
    from bias - 128 * sum.  The shift s is large enough for this number too, in units of 2^s, if a
    shift <= START_BITS is.  Raises LoweringError for a bias that does not fit.
    """
    exact = np.rint(np.asarray(bias, np.float64) / scale)
    shift = _bias_shift(exact)
    if shift > most:
        raise LoweringError(f"a bias of {np.abs(bias).max()} does not fit beside its weight")
    if sums is not None:
        started = max(shift, _bias_shift(exact - OFFSET * sums))
        shift = started if started <= START_BITS else shift
    return np.rint(np.ldexp(exact, -shift)).astype(np.int16), shift


def logit_bias(
    bias: Real, scale: Float64, weight: NDArray[np.int8]
) -> tuple[NDArray[np.integer], int]:
    """The `integer_bias` of logits, whose one `scale` no bias can change.

    A bias can be large beside the weight: -1e9 forbids a token.  It would leave no bits to the
    other biases.  Then all biases have 32 bits, less the room for the products.  A bias that
    saturates there is still larger than all products.
    """
    exact = np.rint(np.asarray(bias, np.float64) / scale)
    if _bias_shift(exact) <= LOGIT_BITS:
        return integer_bias(bias, scale, sums=weight.sum(axis=1, dtype=np.int64))
    room = 2**31 - 1 - OFFSET * OFFSET * weight.shape[1]
    return np.clip(exact, -room, room).astype(np.int32), 0


def _bias_shift(exact: Float64) -> int:
    """The smallest shift that makes numbers fit in 16 bits."""
    shift = 0
    while np.abs(np.rint(np.ldexp(exact, -shift))).max(initial=0) > WIDE_MAX:
        shift += 1
    return shift
