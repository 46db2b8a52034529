"""The least scales at which the instructions can give their results.

Calibration proposes the scale of a value from what it saw of that value.  A value may be nearly
zero where its operands are not: a layer of zeros, sums that cancel, a gain beside a constant.  Then
the proposed scale is finer than any that a factor, a bias or an epsilon leads to, and `at_least`
raises it to one that is reached.  Nothing is lost, because finer integers would hold nothing but
the rounding errors of the operands.
"""

from __future__ import annotations

import numpy as np

from int8ref.reference.layer_norm import FRACTION_BITS
from int8ref.reference.match_add import MAX_RAISE
from weights_import.scale_propagation import BIAS_BITS, DATA_MAX, WIDE_MAX, Float64, Real

MARGIN = 1.001
"""So that no rounding of a float leads beyond a limit."""
SMALLEST = 2.0**-120
"""Of all scales: that of a value or a weight that is zero, and of any that is smaller."""
VANISHING = 2.0**-16
"""Of what is added to a bias."""
LARGEST_ROW = 2.0**30
"""Of the results of a norm, in units of 2^-shift."""
BRANCH_BIAS_BITS = 40
"""Largest shift of a bias that `match_add` adds."""


def at_least(scale: Float64, least: Real | float, group: int = 1) -> Float64:
    """`scale`, [1] or [n], times the least factor from 1 on that makes it reach `least`.

    Each `group` of neighbouring channels has one factor, so that the scales of a head of attention
    keep their proportions.
    """
    factor = np.maximum(np.asarray(least, np.float64) / scale, 1.0)
    groups = factor.reshape(1, -1) if scale.size == 1 else factor.reshape(-1, group)
    raised: Float64 = scale * groups.max(axis=1).repeat(scale.size // len(groups))
    return raised


def least_result(scale: Float64, shift: int) -> Float64:
    """Of a result that a factor of 15 bits, with a shift from `shift` on, makes of values with
    `scale`."""
    return scale * (2.0**shift * MARGIN / WIDE_MAX)


def least_row(bias: Real, scale: Float64, depth: int) -> Float64:
    """Of the row of a weight whose accumulators begin with `bias`; `scale` is its finest.

    All rows of an instruction have one shift of their biases, which costs the others bits.  So a
    bias has BIAS_BITS at most, and none where the `depth` products of its row vanish beside it.
    """
    size = np.abs(np.asarray(bias, np.float64))
    alone = scale * depth * DATA_MAX**2 < size * VANISHING
    reach: Float64 = WIDE_MAX * np.where(alone, 1.0, 2.0**BIAS_BITS)
    return size * MARGIN / reach


def least_sum(branch: Float64, stream: Float64, bias: Real | None) -> float:
    """Of a residual sum of values with the scales `branch` and `stream`, and of a bias if the
    branch lacks its own."""
    least = max(float(branch.max()), float(stream.max()) * 2.0**-MAX_RAISE)
    if bias is not None:
        least = max(least, float(np.abs(bias).max()) * 2.0**-BRANCH_BIAS_BITS)
    return least * 2 * MARGIN / WIDE_MAX


def least_norm(gain: Float64, bias: Float64, normalized: int, shift: int) -> Float64:
    """Of a norm's result, a channel, with a shift from `shift` on; `normalized` bounds the values
    that the gain multiplies.

    The gain must fit in 15 bits, and the largest result in `LARGEST_ROW`, of which gain and bias
    have a half each.
    """
    unit = 2.0**-FRACTION_BITS
    slope = max(1 / WIDE_MAX, 2 * normalized / LARGEST_ROW) * unit
    sizes = np.maximum(np.abs(gain) * slope, np.abs(bias) * (2 / LARGEST_ROW))
    return sizes * (2.0**shift * MARGIN)


def least_stream(width: int, epsilon: float, power: int, limit: int) -> float:
    """Of a row of so many values, in whose norm epsilon counts as epsilon * (width / scale)^power,
    which must not exceed `limit`: what is smaller vanishes beside epsilon."""
    return float(width * (epsilon / limit) ** (1 / power) * MARGIN)
