"""How many sentences are decoded at once: as many as have their keys and values in a near cache.

A step of decoding reads the weights once for all rows, and for each row its own keys and values.
More rows share the first, but from some number on the second come from a far cache: in short
pieces and, measured, a seventh as fast as weights, which come in one stream.  Let W be the bytes of
weights and c those of a row's keys and values, three quarters of which a step meets on the mean.
Parts of n = NEAR_BYTES / c rows read W / n bytes of weights for each row and step, and no longer
3 c / 4 from far away, which is worth it where

    W / n < 7 * 3 c / 4,  so that  W < 5 NEAR_BYTES,  about.

What it brings a model of 5 MB of weights, and would cost one of 38 MB: docs/speed.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from int8ref.program.program import Program, Tensors
from int8ref.reference.attention import Attention
from int8ref.reference.linear import Linear
from int8ref.search.request import Record
from int8ref.spec.scope import Domain

NEAR_BYTES = 2 << 20
"""Most bytes of the keys and values of a part, at the last step, when they are the most."""
MOST_WEIGHTS = 4 * NEAR_BYTES
"""Beyond so many bytes of weights, these are better read once for all rows."""
LEAST_ROWS = 4
"""Fewer rows would leave products without work for what they read."""
MOST_BYTES = 1 << 30
"""Most bytes of the values of a part of more than one sentence."""


class Footprint(msgspec.Struct, frozen=True):
    """Bytes that a step of a Program's decoder reads: of weights, for each step so far of a row,
    and for each token of its source; and the bytes of all values of a row of each domain."""

    weights: int
    step: int
    token: int
    row_bytes: Mapping[Domain, int] = {}

    @classmethod
    def of(cls, program: Program, tensors: Tensors, row_bytes: Mapping[Domain, int]) -> Footprint:
        """That of a valid Program; `row_bytes` are those of its code."""
        weights = {i.weight for i in program.decoder if isinstance(i, Linear)}
        found = [i for i in program.decoder if isinstance(i, Attention)]
        own = [2 * i.key_width for i in found if i.sentence is None]
        cross = [2 * i.key_width for i in found if i.sentence is not None]
        size = sum(tensors[name].nbytes for name in weights)
        return cls(size, sum(own), sum(cross), row_bytes)

    def split(self, records: Sequence[Record], beam_size: int) -> Iterator[Sequence[Record]]:
        """The parts of a batch that are decoded one after another: equal numbers of sentences, but
        for the last.  A batch of none is one part.

        As many steps are expected as a source has tokens, if it has any, and at most as many as the
        record says.  No choice of parts changes a result.
        """
        steps = sum(min(record.steps, len(record.ids) or record.steps) for record in records)
        tokens = sum(len(record.ids) for record in records)
        needed = beam_size * steps * self.step + tokens * self.token
        parts = -(-needed // NEAR_BYTES) if self.weights <= MOST_WEIGHTS else 1
        size = max(-(-len(records) // max(parts, 1)), -(-LEAST_ROWS // beam_size))
        size = max(1, min(size, MOST_BYTES // self._sentence_bytes(records, beam_size)))
        return (records[at : at + size] for at in range(0, max(len(records), 1), size))

    def _sentence_bytes(self, records: Sequence[Record], beam_size: int) -> int:
        """Most bytes of all values of a sentence."""
        rows: dict[Domain, int] = {
            "source": max((len(record.ids) for record in records), default=0),
            "target": beam_size,
            "history": beam_size * max((record.steps for record in records), default=0),
        }
        return 1 + sum(self.row_bytes.get(domain, 0) * count for domain, count in rows.items())
