"""Medians, spreads and ratios of interleaved samples."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """`spread` is half of the distance between the quartiles, as a share of the median."""

    median: float
    spread: float


def summarize(samples: Sequence[float]) -> Summary:
    """Of at least one sample."""
    median = statistics.median(samples)
    if len(samples) < 2:
        return Summary(median, 0.0)
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Summary(median, (high - low) / 2 / median)


def paired_ratio(over: Sequence[float], under: Sequence[float]) -> Summary:
    """Of over[i] / under[i], samples of the same round: what slows a whole round down drops out."""
    return summarize([a / b for a, b in zip(over, under, strict=True)])


def geometric_mean(values: Sequence[float]) -> float:
    """exp of the mean of logarithms."""
    return math.exp(statistics.fmean(math.log(value) for value in values))
