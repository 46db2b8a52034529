"""The heads of an attention, and the scales that their channels share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from weights_import.tensors import Float64

Norms = Literal["", "head", "each head", "row"]


@dataclass(frozen=True)
class Heads:
    """The number of heads, and their size in columns.

    A group of heads of queries may share one head of keys and values.  `rotary` has an angle in
    radians for each pair of columns (i, i + pairs) of queries and keys: one position turns the pair
    by this angle.

    norms   whether queries and keys have a norm: of each head with gains that all heads share, of
            each head with gains of its own, or of the whole row
    window  the number of the last keys that a row sees in the decoder; 0 for all
    """

    count: int
    size: int
    key_heads: int
    rotary: tuple[float, ...] = ()
    norms: Norms = ""
    window: int = 0

    @property
    def group(self) -> int:
        """Heads of queries that share a head of keys and values."""
        return self.count // self.key_heads

    @property
    def width(self) -> int:
        """Columns of queries."""
        return self.count * self.size

    @property
    def key_width(self) -> int:
        """Columns of keys, and of values."""
        return self.key_heads * self.size

    def shared(self, x: Float64) -> Float64:
        """Repeat numbers for the channels of keys or values for each head of queries."""
        return x.reshape(-1, 1, self.size).repeat(self.group, axis=1).ravel()

    def common(self, x: Float64) -> Float64:
        """The largest number of each channel in a group of heads of queries."""
        found: Float64 = x.reshape(-1, self.group, self.size).max(axis=1).ravel()
        return found

    def alike(self, x: Float64) -> Float64:
        """The least numbers >= x that are in proportion to `common` within each head."""
        common = self.shared(self.common(x))
        share: Float64 = (x / common).reshape(-1, self.size).max(axis=1)
        return common * np.repeat(share, self.size)

    def of_pairs(self, scale: Float64) -> Float64:
        """The larger scale of both columns of each pair that rotary positions turn.

        `scale` is for queries, keys and values side by side.  Other columns keep their scales.
        """
        pairs, heads = len(self.rotary), self.count + self.key_heads
        found = scale[: heads * self.size].reshape(heads, self.size).copy()
        larger = np.maximum(found[:, :pairs], found[:, pairs : 2 * pairs])
        found[:, : 2 * pairs] = np.concatenate([larger, larger], axis=1)
        return np.concatenate([found.ravel(), scale[heads * self.size :]])
