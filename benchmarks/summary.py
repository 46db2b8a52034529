"""Medians, spreads and ratios of interleaved samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """`spread`: half of the interquartile range, divided by the median."""

    median: float
    spread: float


def summarize(samples: Sequence[float]) -> Summary:
    """Summarize one or more samples."""
    median = statistics.median(samples)
    if len(samples) < 2:
        return Summary(median, 0.0)
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Summary(median, (high - low) / 2 / median)


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Summary:
    """Summarize over[i] / under[i] for samples of the same round.

    The ratio cancels a disturbance that slows down a whole round.
    """
    return summarize([a / b for a, b in zip(over, under, strict=True)])


def geometric_mean(values: Sequence[float]) -> float:
    """Return exp of the mean of the logarithms."""
    return math.exp(statistics.fmean(math.log(value) for value in values))
