"""Activation scales for the products that consume them: one number, or one a channel.

A channel whose values are small wastes most of the 8 bits of a common scale.  Giving channel k a
scale s[k] of its own costs nothing at run time where the producer applies a factor a channel
anyway: the consumer's weight takes the scale over, W'[n, k] = W[n, k] * s[k], and is quantised
after that.  But W' then leaves the checkpoint's own int8 grid and its rows grow less even.  So the
spread between both ends is chosen by measurement: the scales with the least error in what the
consumers compute (compare SmoothQuant, Xiao et al. 2023, which balances the two by a fixed
exponent).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weights_import.calibrate import Ranges
from weights_import.scale_propagation import DATA_MAX, Float64, Quantized, quantize, row_scales

SPREADS = (0.0, 0.25, 0.5, 0.75, 1.0)
CLIPS = (1.0, 0.9, 0.8)
"""Tried together: scale[k] = clip * common^(1 - spread) * own[k]^spread / 127."""
ROWS = 768
SMALLEST_SHARE = 1 / 64
"""No channel's scale is below this share of the common one."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Weight:
    """A consumer's weight, float [n, k], and its int8 grid where the checkpoint has one."""

    w: NDArray[np.float32]
    grid: float | None = None


def quantize_weight(weight: Weight, x_scale: Float64) -> Quantized:
    """The weight for an input of scale `x_scale`; its scale is that of the accumulators.

    With one input scale, a checkpoint's own grid is kept: nothing is lost.  Otherwise every row of
    W[n, k] * x_scale[k] gets the scale at which its largest element becomes 127.
    """
    if weight.grid is not None and x_scale.size == 1:
        exact = quantize(weight.w, np.array([weight.grid]))
        return Quantized(exact.x, exact.scale * x_scale)
    folded = weight.w * x_scale
    return quantize(folded, row_scales(folded))


def choose_scale(ranges: Ranges, name: str, consumers: list[Weight]) -> Float64:
    """The scale of value `name`, [1] or [channels], with the least error for its consumers.

    The error of a consumer is |X W^T - X' W'^T|^2 / |X W^T|^2 over the calibration sample, X' and
    W' being quantised.
    """
    x = ranges.samples[name][:: max(1, len(ranges.samples[name]) // ROWS)]
    exact = [x @ c.w.T for c in consumers]
    best, least = np.array([1.0]), np.inf
    for scale in candidates(ranges.maxima[name]):
        q = np.clip(np.rint(x / scale.astype(np.float32)), -DATA_MAX, DATA_MAX)
        error = 0.0
        for consumer, wanted in zip(consumers, exact, strict=True):
            weight = quantize_weight(consumer, scale)
            error += relative_error(wanted, (q @ weight.x.T.astype(np.float32)) * weight.scale)
        if error < least:
            best, least = scale, error
    return best


def candidates(maxima: Float32) -> Iterator[Float64]:
    """Scales to choose from, by the largest |x| of every channel."""
    own = maxima.astype(np.float64)
    common = positive(own.max(keepdims=True))
    own = np.maximum(own, common * SMALLEST_SHARE)
    for spread in SPREADS:
        scale = common ** (1 - spread) * own**spread if spread else common
        for clip in CLIPS:
            yield scale * clip / DATA_MAX


def positive(clip: Float64) -> Float64:
    """Thresholds with 1 in place of 0: a value that is always zero may have any scale."""
    return np.where(clip > 0, clip, 1.0)


def relative_error(exact: Float32, found: NDArray[np.floating[Any]]) -> float:
    """|exact - found|^2 / |exact|^2."""
    return float(np.square(exact - found).sum() / max(float(np.square(exact).sum()), 1e-30))
