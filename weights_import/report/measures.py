"""Measures of the values of a Program, summed as the rows come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from weights_import.lowering.meaning import Meaning
from weights_import.report.integers import LIMITS, exact, rounded
from weights_import.tensors import Float32, Float64

BINS = 128
"""Bins of a histogram: from twice the least to twice the largest integer of 8 or 16 bits."""


def power(x: Float64 | Float32) -> float:
    """The sum of the squares."""
    flat = x.ravel().astype(np.float64)
    return float(flat @ flat)


def decibels(signal: float, noise: float) -> float | None:
    """10 log10(signal / noise); None if one of them is zero."""
    return float(10 * np.log10(signal / noise)) if signal > 0 and noise > 0 else None


@dataclass
class Measures:
    """The measures of one value.

    signal       sum of x^2 of the float values x
    accumulated  sum of (y - x)^2 for the integers' real numbers y of the integer model
    alone        the same for its own operation alone in integers
    rounding     the same for x itself, rounded to the integers
    product      sum of x * y; `found` is the sum of y^2
    largest      the largest |y - x| of the integer model
    clipped      the number of x beyond the integers
    low, high    the least and the largest integer of the integer model
    histogram    the number of x by the integer that x would be
    """

    meaning: Meaning
    dtype: np.dtype
    width: int
    signal: float = 0.0
    accumulated: float = 0.0
    alone: float = 0.0
    rounding: float = 0.0
    product: float = 0.0
    found: float = 0.0
    largest: float = 0.0
    greatest: float = 0.0
    clipped: int = 0
    count: int = 0
    low: int = 0
    high: int = 0
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, x: Float32, y: Float32, integers: NDArray[np.integer], error: Float32) -> None:
        """Take up some rows: floats, real numbers of the integer model, their integers, and the
        error of the operation alone."""
        difference = y.astype(np.float64) - x
        self.signal += power(x)
        self.accumulated += power(difference)
        self.alone += power(error)
        self.product += float(x.ravel().astype(np.float64) @ y.ravel().astype(np.float64))
        self.found += power(y)
        self.largest = max(self.largest, float(np.abs(difference).max(initial=0)))
        self.greatest = max(self.greatest, float(np.abs(x).max(initial=0)))
        self.low = min(self.low, int(integers.min(initial=0)))
        self.high = max(self.high, int(integers.max(initial=0)))
        self.count += x.size
        if not self.meaning.scaled.exponent:
            self._add_exact(x)

    def _add_exact(self, x: Float32) -> None:
        """Measures of the floats on the grid of the integers."""
        limit, ideal = LIMITS[self.dtype.name], exact(x, self.meaning)
        nearest = rounded(x, self.meaning, self.dtype)
        self.rounding += power((nearest - ideal) * self.meaning.scaled.scale)
        self.clipped += int(np.count_nonzero(np.abs(np.rint(ideal)) > limit))
        at = np.floor((ideal / (limit + 1) + 2) * (BINS / 4))
        bins = np.clip(at, 0, BINS - 1).astype(np.int64)
        self.histogram += np.bincount(bins.ravel(), minlength=BINS)

    @property
    def bits(self) -> int:
        """The bits of its integers."""
        return self.dtype.itemsize * 8

    @property
    def cosine(self) -> float | None:
        """The cosine between floats and integers, all rows as one vector."""
        length = float(np.sqrt(self.signal) * np.sqrt(self.found))
        return self.product / length if length > 0 else None

    @property
    def used(self) -> float:
        """The share of the integers between the least and the largest one that was seen."""
        limit = LIMITS[self.dtype.name]
        return (self.high - self.low) / (2 * limit)


def described(name: str, one: Measures) -> Iterator[tuple[str, object]]:
    """The columns of the table of values for one value."""
    yield "value", name
    yield "bits", one.bits
    yield "width", one.width
    yield "accumulated_db", decibels(one.signal, one.accumulated)
    yield "alone_db", decibels(one.signal, one.alone)
    rounds = bool(one.rounding)
    yield "rounding_db", decibels(one.signal, one.rounding) if rounds else None
    yield "cosine", one.cosine
    yield "largest_error", one.largest
    yield "largest_float", one.greatest
    yield "clipped", one.clipped / one.count if one.count else 0.0
    yield "used", one.used
