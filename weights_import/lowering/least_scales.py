"""The least scales at which the instructions can give their results.

Calibration proposes the scale of a value from the rows of the value.  A value can be nearly zero
although its operands are large: a layer of zeros, sums that cancel, a gain beside a constant.  Then
no factor, bias or epsilon reaches the proposed scale, and `at_least` raises it to a scale that is
reached.  Nothing is lost, because finer integers would hold only the rounding errors of the
operands.
"""

from __future__ import annotations

import numpy as np

from int8ref.reference.layer_norm import FRACTION_BITS
from int8ref.reference.match_add import MAX_RAISE
from weights_import.lowering.scale_propagation import BIAS_BITS, DATA_MAX, WIDE_MAX, Float64, Real

MARGIN = 1.001
"""Keeps the rounding of a float within a limit."""
SMALLEST = 2.0**-120
"""The smallest of all scales.  Values and weights that are zero, or nearly zero, have it."""
VANISHING = 2.0**-16
"""Products vanish beside a bias if they are below this share of the bias."""
LARGEST_ROW = 2.0**30
"""The largest result of a norm, in units of 2^-shift."""
BRANCH_BIAS_BITS = 40
"""The largest shift of a bias that `match_add` adds."""


def at_least(scale: Float64, least: Real | float, group: int = 1) -> Float64:
    """`scale`, [1] or [n], times the least factor >= 1 that makes it reach `least`.

    Each `group` of neighbouring channels has one factor, so that the scales of a head of attention
    keep their proportions.
    """
    factor = np.maximum(np.asarray(least, np.float64) / scale, 1.0)
    groups = factor.reshape(1, -1) if scale.size == 1 else factor.reshape(-1, group)
    raised: Float64 = scale * groups.max(axis=1).repeat(scale.size // len(groups))
    return raised


def least_result(scale: Float64, shift: int) -> Float64:
    """The least scale of a result that a factor of 15 bits makes of values with `scale`.

    `shift` is the smallest shift of the factor.
    """
    return scale * (2.0**shift * MARGIN / WIDE_MAX)


def least_row(bias: Real, scale: Float64, depth: int) -> Float64:
    """The least scale of each row of a weight whose accumulators begin with `bias`.

    `scale` is the finest scale of each row.  All rows of an instruction have one shift of their
    biases, and a large shift costs small biases their bits.  Therefore a bias has a shift of at
    most BIAS_BITS, and a shift of 0 if the `depth` products of its row vanish beside it.
    """
    size = np.abs(np.asarray(bias, np.float64))
    alone = scale * depth * DATA_MAX**2 < size * VANISHING
    reach: Float64 = WIDE_MAX * np.where(alone, 1.0, 2.0**BIAS_BITS)
    return size * MARGIN / reach


def least_sum(branch: Float64, stream: Float64, bias: Real | None) -> float:
    """The least scale of a residual sum of values with the scales `branch` and `stream`.

    `bias` is the bias that the branch lacks, or None.
    """
    least = max(float(branch.max()), float(stream.max()) * 2.0**-MAX_RAISE)
    if bias is not None:
        least = max(least, float(np.abs(bias).max()) * 2.0**-BRANCH_BIAS_BITS)
    return least * 2 * MARGIN / WIDE_MAX


def least_norm(gain: Float64, bias: Float64, normalized: int, shift: int) -> Float64:
    """The least scale of each channel of the result of a norm.

    `normalized` bounds the values that the gain multiplies, and `shift` is the smallest shift.  The
    gain must fit in 15 bits.  The largest result must fit in `LARGEST_ROW`: gain and bias have one
    half each.
    """
    unit = 2.0**-FRACTION_BITS
    slope = max(1 / WIDE_MAX, 2 * normalized / LARGEST_ROW) * unit
    sizes = np.maximum(np.abs(gain) * slope, np.abs(bias) * (2 / LARGEST_ROW))
    return sizes * (2.0**shift * MARGIN)


def least_stream(width: int, epsilon: float, power: int, limit: int) -> float:
    """The least scale of a row of `width` values that a norm reads.

    In integers, the epsilon of the norm is epsilon * (width / scale)^power.  It must not exceed
    `limit`.  Values on a smaller scale vanish beside epsilon.
    """
    share = epsilon / limit
    return float(width * (float(np.sqrt(share)) if power == 2 else share) * MARGIN)
