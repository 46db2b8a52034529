"""Scales of the inputs of products: one number, or one number for each channel.

A channel with small values wastes most of the 8 bits of a common scale.  A scale s[k] for channel k
costs nothing at run time, because the instruction before it has a factor for each channel, and the
weight behind it takes the scale over before it is quantised: W'[n, k] = W[n, k] * s[k].  But if
each channel just reaches 127 on the calibration text, channels are clipped on other texts, small
channels most often, and W' becomes less even.  Therefore the scales lie between both ends (compare
SmoothQuant, Xiao et al. 2023, which balances activations and weights by such an exponent).

The importance of a channel is its largest value times the usual size of the weights that multiply
it.  If a channel grows and the weights behind it shrink, its importance stays, and its integers
stay.
"""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.functions import power
from weights_import.arithmetic.thresholds import percentile
from weights_import.lowering.scale_propagation import DATA_MAX, Float64

SPREAD = 0.5
"""The spread of a hidden layer or a context, which have long tails."""
NORM_SPREAD = 0.75
"""The spread of a norm, whose variance is the same for every text."""
SMALLEST_SHARE = 1 / 64
"""The least importance of a channel, as a share of the greatest importance."""
GREATEST = 16.0
"""The greatest importance of a channel, as a multiple of the median of all channels, because a
channel of one huge weight must not take the bits of the others."""


def channel_scales(
    maxima: Float64, weights: Float64, spread: float, largest: int = DATA_MAX
) -> Float64:
    """own[k] * (most / counted[k])^(1 - spread) / largest: the scale of every channel.

        own[k] = `maxima`[k]               the largest |x| of a channel
        importance[k] = own[k] * `weights`[k]
        most = min(max(importance), GREATEST * median(importance > 0))
        counted[k] = clamp(importance[k], SMALLEST_SHARE * most, most)

    A channel that counts as more important than it is has the scale of a larger maximum.  With
    spread 0, scales are in inverse proportion to the weights.  With spread 1, each channel reaches
    `largest`.  If no channel is important, all have the scale of the largest maximum.
    """
    own = maxima.astype(np.float64)
    importance = own * weights
    if not importance.any():
        return np.full(own.shape, float(positive(own.max(initial=0.0))) / largest)
    most = min(float(importance.max()), GREATEST * percentile(importance[importance > 0], 50))
    counted = np.clip(importance, SMALLEST_SHARE * most, most)
    raised = np.maximum(own, counted / np.where(weights > 0, weights, np.inf))
    reached = np.where(raised > 0, raised, own.max())
    return reached * power(most / counted, 1 - spread) / largest


def positive(clip: Float64 | np.float64 | float) -> Float64:
    """Thresholds with 1 in place of 0, because a value that is always zero may have any scale."""
    return np.where(np.asarray(clip) > 0, clip, 1.0)
