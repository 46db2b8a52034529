"""The rows of the float values on the calibration text, and what follows from them."""

from __future__ import annotations

import numpy as np

from weights_import.arithmetic.extremes import extremes
from weights_import.arithmetic.threads import in_threads
from weights_import.arithmetic.thresholds import threshold
from weights_import.tensors import Float32, Float64

SAMPLE = 4096
"""Rows from which second moments are computed."""


class Observed:
    """The rows of the values on the calibration text, as long as they are needed."""

    def __init__(self) -> None:
        self.rows: dict[str, Float32] = {}
        self._extremes: dict[str, tuple[Float32, Float32, Float32]] = {}

    def know(self, name: str, extremes: tuple[Float32, Float32]) -> None:
        """Keep the extremes of the rows of a value, which somebody has computed already."""
        self._extremes[name] = self.rows[name], *extremes

    def extremes(self, name: str) -> tuple[Float32, Float32]:
        """The least and the largest value of each feature."""
        rows = self.rows[name]
        known, low, high = self._extremes.get(name, (None, rows, rows))
        if known is not rows:
            low, high = extremes(rows)
            self._extremes[name] = rows, low, high
        return low, high

    def sample(self, name: str) -> Float32:
        """At most SAMPLE rows of a value, evenly spread."""
        rows = self.rows[name]
        return rows[:: max(1, -(-len(rows) // SAMPLE))]

    def maxima(self, name: str) -> Float64:
        """The largest |x| of each feature."""
        low, high = self.extremes(name)
        return np.maximum(high, -low).astype(np.float64)

    def forget(self, name: str) -> None:
        """Drop the rows of a value."""
        self.rows.pop(name, None)
        self._extremes.pop(name, None)

    def maximum(self, name: str) -> float:
        """The largest |x| of a value."""
        return float(self.maxima(name).max())

    def clip_of(self, name: str, proportions: Float64, method: str) -> float:
        """The threshold of a value whose features are first divided by their proportions."""
        rows = self.rows[name] * (1 / proportions).astype(np.float32)
        return threshold(np.abs(rows), method)

    def clip(self, name: str, method: str, groups: int = 1) -> Float64:
        """The thresholds T [groups] of symmetric int8 quantisation (step T / 127).

        Groups are blocks of features of equal size: 1 group for a tensor, or a group for each head
        or each feature.  See `threshold` for the methods.
        """
        rows, found = self.rows[name], np.zeros(groups)
        width = rows.shape[1] // groups

        def one(group: int) -> None:
            block = np.abs(rows[:, group * width : (group + 1) * width])
            found[group] = threshold(block, method)

        if method == "max":
            largest: Float64 = self.maxima(name).reshape(groups, -1).max(axis=1)
            return largest
        in_threads(one, range(groups))
        return found
