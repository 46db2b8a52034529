"""Rotary positions for texts that are longer than the texts of the first training.

The frequencies f of the pairs of columns become lower, because a longer text must not turn a pair
further than the model knows.  Some methods make queries and keys larger too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weights_import.arithmetic.functions import log
from weights_import.tensors import Float64


@dataclass(frozen=True)
class Rotary:
    """The frequencies of the pairs of a head, and the factor of turned queries and keys."""

    frequencies: tuple[float, ...] = ()
    magnitude: float = 1.0


def linear(f: Float64, factor: float) -> Float64:
    """f / factor: every position counts less (Chen et al. 2023, Eq. 4)."""
    return f / factor


def by_wavelength(f: Float64, factor: float, original: int, low: float, high: float) -> Float64:
    """The method of Llama 3.1 (Hugging Face's documentation of `rope_type`: llama3).

    A pair that turns more than `high` times in the `original` context keeps its frequency.  A pair
    that turns less than `low` times has f / factor.  Pairs between them have a mean of both.
    """
    turns = original * f / (2 * np.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - kept) * f / factor + kept * f


@dataclass(frozen=True)
class Ramp:
    """A ramp over the pairs of `columns` columns.

    It begins at the pair that turns `fast` times in the `original` context, and ends at the pair
    that turns `slow` times.  With `whole`, both ends are rounded outwards.
    """

    base: float
    columns: int
    original: int
    fast: float = 32.0
    slow: float = 1.0
    whole: bool = True

    def over(self, pairs: int) -> Float64:
        """The height of the ramp at each pair, from 0 to 1."""
        first, last = self._pair(self.fast), self._pair(self.slow)
        if self.whole:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0.0), min(last, self.columns - 1.0)
        last += 0.001 if first == last else 0.0  # a ramp has some length
        height: Float64 = np.clip((np.arange(pairs) - first) / (last - first), 0.0, 1.0)
        return height

    def _pair(self, turns: float) -> float:
        """The place of the pair that turns a number of times in the original context."""
        logarithm = log(self.original / (2 * np.pi * turns)) / (2 * log(self.base))
        return float(self.columns * logarithm)


def by_ramp(f: Float64, factor: float, ramp: Ramp) -> Float64:
    """YaRN (Peng et al. 2023, section 3.2): f before the ramp, f / factor behind it."""
    lowered = ramp.over(len(f))
    return lowered * f / factor + (1 - lowered) * f


def yarn_magnitude(factor: float, times: float = 1.0) -> float:
    """0.1 times ln(factor) + 1, the root of 1 / t (Peng et al. 2023, Eq. 22)."""
    return 0.1 * times * float(log(factor)) + 1.0 if factor > 1 else 1.0


def longrope_magnitude(factor: float, original: int) -> float:
    """sqrt(1 + ln(factor) / ln(original)) (Ding et al. 2024)."""
    if factor <= 1 or original <= 1:
        return 1.0
    return float(np.sqrt(1 + log(factor) / log(original)))
