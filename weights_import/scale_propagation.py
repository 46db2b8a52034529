"""Scales become integers: every multiplier and shift of a Program, fixed when a model is imported.

A tensor is a pair {x, s}: integers x and a scale s, with real value x * s.  A matrix product
multiplies scales, an addition matches them, and normalisations cancel the scale of their input
(Lin et al. 2020, section 3; there s is the inverse).  At run time no scale exists: all that is left
of them are dyadic numbers multiplier * 2^-shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.errors import UserError
from int8ref.reference.linear import MAX_FACTOR_SHIFT
from int8ref.spec.pair_sums import LARGEST_SUM, OFFSET, largest_sums

Float64 = NDArray[np.float64]
Real = NDArray[np.floating[Any]]

DATA_MAX = 127
WIDE_MAX = 32767
START_BITS = OFFSET.bit_length() - 1
"""Largest shift of a bias with which start values are whole numbers of its unit."""


BIAS_BITS, LOGIT_BITS = 8, 12
"""Largest shift that one large bias brings upon the others beside it, of 16 bits each; of logits,
whose products reach farther."""


class LoweringError(UserError, ValueError):
    """A float model that cannot be brought to integers as asked: the message says where and why."""


@contextmanager
def told_where(name: str) -> Iterator[None]:
    """Names the part of the model in an error."""
    try:
        yield
    except LoweringError as error:
        raise LoweringError(f"{name}: {error}") from None


@dataclass(frozen=True)
class Quantized:
    """Integers and their scale: one number ([1]) or one a channel of the first axis ([n])."""

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
    """The least scales not below these from which `factors` lead to `wanted` exactly.

    They are larger by the rest of a division: the smallest of them by the largest share, and none
    by more than the 2^-14th part of the largest.
    """
    unit = np.ldexp(wanted, -_shift_of(scales / wanted, most))
    found: Float64 = np.ceil(scales / unit) * unit
    return found


def _shift_of(ratio: Real, most: int) -> int:
    """The largest shift <= most with which these factors have 15 bits."""
    return largest_shift(float(np.max(ratio)), WIDE_MAX, most)


def fixed_point(ratio: Real, shift: int) -> NDArray[np.int32]:
    """round(ratio * 2^shift), which must fit in int32."""
    scaled = np.rint(np.ldexp(np.asarray(ratio, np.float64), shift))
    if np.any(np.abs(scaled) >= 2**31):
        raise LoweringError(f"{np.max(np.abs(ratio))} * 2^{shift} does not fit in 32 bits")
    return scaled.astype(np.int32)


def largest_shift(bound: float, limit: int, most: int) -> int:
    """The largest shift <= most with bound * 2^shift <= limit."""
    return min(most, int(np.floor(np.log2(limit / bound)))) if bound > 0 else most


def quantize(w: Real, scale: Real) -> Quantized:
    """round(w / scale) in [-127, 127], rounding half to even; `scale`: [1] or one a row of w."""
    step = np.asarray(scale, np.float64)
    x = w / step.reshape(-1, *[1] * (w.ndim - 1))
    np.clip(np.rint(x, out=x), -DATA_MAX, DATA_MAX, out=x)
    return Quantized(x.astype(np.int8), step)


def row_scales(w: Real, quads: bool = False) -> Float64:
    """The scale of each row of a weight at which its largest element becomes 127; with `quads`, at
    which no sum of four products leaves 16 bits either (`int8ref.spec.pair_sums`).

    A row of zeros has the largest scale of the others, which any factor suits that suits them;
    rows that are all zero have 0.
    """
    largest = np.abs(w).max(axis=1).astype(np.float64) / DATA_MAX
    if quads:
        largest = np.maximum(largest, largest_sums(w.astype(np.float64)) / LARGEST_SUM)
    scales: Float64 = np.where(largest > 0, largest, largest.max())
    return scales


def shift_scales(finest: Float64, out_scale: Real) -> tuple[Float64, NDArray[np.int8]]:
    """Row scales and shifts for which scale / out_scale is exactly 2^-shift.

    The `finest` scales are those of the accumulators.  The shift-only re-scaling of the paper
    without a loss in the activations: their scales stay free, and the weight of each channel is
    quantised on the grid that the shift demands, at most twice as coarse as the finest one that
    holds the row, or its quads.
    """
    shift = np.floor(np.log2(out_scale / finest)).astype(np.int64)
    if np.any(shift < 1):
        raise LoweringError("a weight is too large for a shift-only re-scaling")
    shift = np.minimum(shift, 30)
    return np.ldexp(np.broadcast_to(out_scale, shift.shape), -shift), shift.astype(np.int8)


def integer_bias(
    bias: Real, scale: Real | float, most: int = 15, sums: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int16], int]:
    """(x, s) with bias = x * 2^s * scale: int16 and the smallest s <= most that makes it fit.

    `sums` are those of the rows of a weight.  An engine that raises int8 inputs by 128 starts from
    bias - 128 * sum, and s is such that this fits as well, in units of 2^s, if an s up to
    START_BITS is.
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

    One that is large beside the weight, as where a token is forbidden by -1e9, would leave no bits
    to the others: then all have 32 bits, less what the products may add.  A bias that saturates
    there outweighs all products.
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
