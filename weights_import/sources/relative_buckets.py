"""The buckets of relative positions of T5 (Raffel et al. 2020, section 2.1).

A bucket is a range of distances from a row to a key, and each head has a bias for each bucket.  The
first half of the buckets holds one distance each.  The bounds of the others grow by one factor up
to the largest distance, and the last bucket holds all distances from its bound on.  If keys may
follow a row, they have buckets of their own, behind the buckets of the keys before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from int8ref.reference.attention import MAX_KEYS
from weights_import.errors import CheckpointError
from weights_import.operations.addend import Addend
from weights_import.tensors import Stored

MOST = 1 << 10
"""The largest number of buckets that is read."""


@dataclass(frozen=True)
class Buckets:
    """The buckets of one stack.

    count      of all buckets, which is the number of rows of the tensor with the biases
    farthest   the distance up to which the bounds grow
    causal     whether no key follows a row
    """

    count: int
    farthest: int
    causal: bool

    @property
    def of_side(self) -> int:
        """The number of buckets before a row."""
        return self.count if self.causal else self.count // 2

    def check(self) -> None:
        """Raises CheckpointError for buckets that cannot be."""
        exact = self.of_side // 2
        if not (1 <= exact < self.farthest and self.count <= MOST):
            raise CheckpointError(
                f"{self.count} buckets of relative positions up to a distance of {self.farthest},"
                f" which is not read; supported are up to {MOST} buckets with a larger distance"
                " than half of their number"
            )

    def listed(self) -> list[int]:
        """The buckets of the distances 0, 1, ... up to the first distance of the last bucket.

        Bound k of those that grow is the distance n with (n / exact)^rest = (farthest / exact)^k,
        compared in whole numbers.
        """
        exact, rest = self.of_side // 2, self.of_side - self.of_side // 2
        found = list(range(exact))
        k = 0
        for n in range(exact, MAX_KEYS):
            while k < rest - 1 and self.farthest ** (k + 1) * exact ** (rest - k - 1) <= n**rest:
                k += 1
            found.append(exact + k)
            if k == rest - 1:
                break
        return found

    def addend(self, table: str) -> Addend:
        """The addend of an attention, for a tensor of this name that `spread` makes."""
        reach = len(self.listed()) - 1
        return Addend(table, reach, 0 if self.causal else reach)

    def spread(self, biases: Stored, heads: int) -> Stored:
        """The table of an `Addend` [heads, distances] of the biases [buckets, heads].

        Raises CheckpointError for biases of another shape.
        """
        if biases.shape != (expected := (self.count, heads)):
            raise CheckpointError(
                f"wrong shape {biases.name} {list(biases.shape)}, expected {list(expected)}"
            )
        before = self.listed()
        after = [] if self.causal else [self.of_side + bucket for bucket in before[1:]]
        rows = np.array(before[::-1] + after)
        return biases.changed((heads, len(rows)), lambda x: np.ascontiguousarray(x[rows].T))
