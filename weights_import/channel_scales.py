"""Activation scales for the products that consume them: one number, or one a channel.

A channel whose values are small wastes most of the 8 bits of a common scale.  Giving channel k a
scale s[k] of its own costs nothing at run time where the producer applies a factor a channel
anyway: the consumer's weight takes the scale over, W'[n, k] = W[n, k] * s[k], and is quantised
after that.  But a channel that just reaches 127 on the calibration text is clipped on other texts,
the small ones most often, and W' grows less even.  So the scales lie between both ends (compare
SmoothQuant, Xiao et al. 2023, which balances activations and weights by such an exponent).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weights_import.scale_propagation import DATA_MAX, Float64

SPREAD = 0.5
"""Of a hidden layer or a context: they have long tails."""
NORM_SPREAD = 0.75
"""Of a norm, whose variance is the same for every text."""
PRODUCT_SPREAD = 1.0
"""Of a gated hidden layer, whose channels have the longest tails of all (measured on one model)."""
SMALLEST_SHARE = 1 / 64
"""No channel's scale is below this share of the common one."""

Float32 = NDArray[np.float32]


def channel_scales(maxima: Float32, spread: float, largest: int = DATA_MAX) -> Float64:
    """common^(1 - spread) * own[k]^spread / largest: the scale of every channel.

    own[k] = `maxima`[k] is the largest |x| of a channel, common the largest of all, which becomes
    the integer `largest`.  Spread 0 gives all channels one scale, 1 lets each reach `largest`.
    """
    own = maxima.astype(np.float64)
    common = positive(own.max())
    own = np.maximum(own, common * SMALLEST_SHARE)
    scale: Float64 = common ** (1 - spread) * own**spread / largest
    return scale


def positive(clip: Float64 | np.float64) -> Float64:
    """Thresholds with 1 in place of 0: a value that is always zero may have any scale."""
    return np.where(clip > 0, clip, 1.0)
