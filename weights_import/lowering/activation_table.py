"""An activation as a table from int8 to int8, with the scales of both sides.

Both sides use all 255 integers from -127 to 127 for the real numbers of an interval.  Therefore an
integer `zero` stands for 0, and it is seldom the middle.  An activation such as swish is nearly 0
for large negative numbers, so the interval before it need not reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from int8ref.reference.interpolate import ENTRIES, STEP_BITS
from weights_import.arithmetic.functions import exp2
from weights_import.arithmetic.sums import squared_distance
from weights_import.lowering.least_scales import SMALLEST
from weights_import.lowering.scale_propagation import DATA_MAX, WIDE_MAX, Float64
from weights_import.tensors import Float32

Function = Callable[[Float64], Float64]
SAMPLED = 1 << 14
"""The number of values on which intervals are tried."""
SHARES = exp2(-np.arange(33) / 4)
"""Ends of intervals to try, as shares of the least and of the largest value."""
BEYOND = 1.25
"""The interval of a block reaches this factor beyond the largest value of the block."""
DEEPER = 4
"""The number of times that smaller shares are tried if the smallest share is the best, as for a
value with one very large channel."""


@dataclass(frozen=True)
class Interval:
    """An interval of real numbers: an integer stands for (integer - zero) * scale."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float, least: float = SMALLEST) -> Interval:
        """From `low` to `high`, moved a little so that an integer stands for 0.

        The scale is at least `least`.
        """
        scale = max((high - low) / (2 * DATA_MAX), least)
        return cls(scale, -DATA_MAX - round(low / scale))

    def integers(self, x: NDArray[np.floating]) -> NDArray[np.int64]:
        """The nearest integers, within int8."""
        nearest = np.rint(np.asarray(x, np.float64) / self.scale) + self.zero
        integers: NDArray[np.int64] = np.clip(nearest, -DATA_MAX, DATA_MAX).astype(np.int64)
        return integers

    def reals(self, integers: NDArray[np.int64]) -> Float64:
        """The real numbers that integers stand for."""
        reals: Float64 = (integers - self.zero) * np.float64(self.scale)
        return reals


@dataclass(frozen=True)
class ActivationTable:
    """table[x + 128] is the integer of f(x), for the integer x: int8 [256]."""

    before: Interval
    after: Interval
    table: NDArray[np.int8]

    def apply(self, x: NDArray[np.floating]) -> Float64:
        """The result of the table for real numbers."""
        found = self.table[self.before.integers(x) + 128]
        return self.after.reals(found.astype(np.int64))


def activation_table(
    function: Function, sample: Float32, least: float = SMALLEST, share: int = 0
) -> ActivationTable:
    """The table of `function` with the least squared error on a sample of its inputs.

    One end of the interval is chosen after the other, twice.  The scale of the inputs is at least
    `least`.

    `share` is the number of blocks of channels, if the sample is one block.  Then the error is
    measured on fewer values.  The interval contains the largest value, because a block needs no
    room for the outliers of other channels, and its own outliers matter.
    """
    values = sample.ravel()
    count = SAMPLED // max(share, 1)
    tried = values[:: max(1, values.size // count)].astype(np.float64)
    exact = function(tried)

    def error(low: float, high: float) -> float:
        table = tabulate(function, Interval.of(low, high, least))
        return squared_distance(table.apply(tried), exact)

    lows = min(float(values.min()), 0.0) * SHARES
    highs = max(float(values.max()), 0.0) * (BEYOND if share else 1.0) * SHARES
    low, high = float(lows[0]), float(highs[0])
    for _ in range(1 if share else 2):
        low = best_end(lows, partial(error, high=high))
        high = high if share else best_end(highs, partial(error, low))
    return tabulate(function, Interval.of(low, high, least))


def best_end(ends: Float64, error: Callable[[float], float], more: int = DEEPER) -> float:
    """The end with the least error.

    If the smallest end is not worse, smaller shares are tried too, at most `more` times.
    """
    best: float = min(ends.tolist(), key=error)
    if not more or best == 0 or error(float(ends[-1])) > error(best):
        return best
    return min(best, best_end(ends * SHARES[-1], error, more - 1), key=error)


def wide_table(function: Function, unit: float) -> tuple[NDArray[np.int16], float]:
    """The table of `interpolate` for a function of 16-bit integers, and the scale of its results.

    `unit` is the scale of the integers.  The integer 0 stands for 0 on both sides.
    """
    codes = np.arange(ENTRIES, dtype=np.float64) * 2.0**STEP_BITS - 2.0**15
    results = function(codes * unit)
    found = max(float(np.abs(results).max()) / WIDE_MAX, SMALLEST)
    return np.rint(results / found).astype(np.int16), found


def tabulate(function: Function, before: Interval) -> ActivationTable:
    """The table of `function` over an interval."""
    results = function(before.reals(np.arange(-128, 128).clip(-DATA_MAX)))
    after = Interval.of(min(float(results.min()), 0.0), max(float(results.max()), 0.0))
    return ActivationTable(before, after, after.integers(results).astype(np.int8))
