"""Thresholds of quantisation: where the magnitudes of a value are cut."""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.functions import exp2
from weights_import.arithmetic.kernel import kernel
from weights_import.tensors import Float32, Float64

LARGEST = 127
BINS = 2048
CANDIDATES = exp2(-np.arange(193) / 32)
"""Thresholds that are tried, as shares of the largest magnitude."""
COARSE = 8


def threshold(magnitudes: Float32, method: str) -> float:
    """The threshold T of symmetric int8 quantisation for these magnitudes.

    max             the largest
    mse             the T of the least mean of (x - step * min(round(x / step), 127))^2, step =
                    T / 127: rounding and clipping error together
    percentile:P    the P-th percentile, for example percentile:99.99: the value at the rank
                    P / 100 * (n - 1), between two values in proportion

    Magnitudes that are all zero have T = 0.  Raises ValueError for another method or P.
    """
    if method == "max":
        return float(magnitudes.max(initial=0))
    if method == "mse":
        return least_error(magnitudes)
    kind, _, share = method.partition(":")
    if kind == "percentile":
        return percentile(magnitudes, float(share))
    raise ValueError(f"unknown method {method!r} (known: max, mse, percentile:P)")


def percentile(magnitudes: Float32 | Float64, share: float) -> float:
    """The value at the rank share / 100 * (n - 1).

    Raises ValueError for a share outside [0, 100].
    """
    if not 0 <= share <= 100:
        raise ValueError(f"percentile {share} is outside the range [0, 100]")
    if not magnitudes.size:
        return 0.0
    ordered = np.sort(magnitudes, axis=None).astype(np.float64)
    rank = share / 100 * (len(ordered) - 1)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    low, high = float(ordered[below]), float(ordered[above])
    return low + (high - low) * (rank - below)


def least_error(magnitudes: Float32) -> float:
    """The T among CANDIDATES * max of the least mean squared error.

    Every eighth candidate is tried first, then the candidates around the best of these.  Magnitudes
    are first counted in BINS equal bins, and each bin stands for its mean.
    """
    largest = float(magnitudes.max(initial=0))
    if largest == 0:
        return 0.0
    exponent = int(np.frexp(largest)[1])  # shares of a power of two, so that nothing overflows
    unit = float(np.ldexp(1.0, -exponent))
    counts, sums = _bins(magnitudes.ravel(), unit, largest * unit)
    filled = counts > 0
    counts, means = counts[filled], sums[filled] / counts[filled]
    tried = CANDIDATES * (largest * unit)
    near = COARSE * int(np.argmin(_errors(counts, means, tried[::COARSE])))
    first = max(0, near - COARSE + 1)
    best = first + int(np.argmin(_errors(counts, means, tried[first : near + COARSE])))
    return float(tried[best]) / unit


@kernel
def _bins(magnitudes, unit, largest):
    """Counts and sums of magnitude * unit in BINS equal bins up to `largest`."""
    counts, sums = np.zeros(BINS), np.zeros(BINS)
    scale = (BINS - 1) / largest
    for i in range(len(magnitudes)):
        x = np.float64(magnitudes[i]) * unit
        at = np.int64(x * scale)
        counts[at] += 1.0
        sums[at] += x
    return counts, sums


@kernel
def _errors(counts, means, thresholds):
    """The summed squared error for each threshold, bins in ascending order."""
    found = np.zeros(len(thresholds))
    steps = thresholds / LARGEST
    for i in range(len(counts)):
        for t in range(len(thresholds)):
            kept = steps[t] * min(np.rint(means[i] / steps[t]), np.float64(LARGEST))
            error = means[i] - kept
            found[t] += counts[i] * (error * error)
    return found
