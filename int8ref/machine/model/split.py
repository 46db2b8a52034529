"""The number of sentences that are decoded at once, so that their keys and values stay in a near
cache.

A step of decoding reads the weights once for all rows, and the keys and values of each row.  More
rows share the weights.  But beyond some number of rows, keys and values come from a far cache.
They are short pieces.  Reading them is seven times slower (measured) than reading the weights,
which are contiguous.  Let W be the bytes of the weights, and c the bytes of the keys and values of
a row.  A step reads 3 c / 4 on average.  Parts of n = NEAR_BYTES / c rows read W / n bytes of
weights for each row and step, and read nothing from the far cache.  Such parts are faster if

    W / n < 7 * 3 c / 4,  which means about  W < 5 NEAR_BYTES.

docs/speed.md has the gain for a model with 5 MB of weights, and the loss for a model with 38 MB.
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
"""Largest size of the keys and values of a part, at its last step."""
MOST_WEIGHTS = 4 * NEAR_BYTES
"""Largest size of weights for which a batch is split."""
LEAST_ROWS = 4
"""Smallest number of rows of a part, because products with fewer rows do too little work for each
weight."""
MOST_BYTES = 1 << 30
"""Largest size of the values of a part with more than one sentence."""


class Footprint(msgspec.Struct, frozen=True):
    """Bytes that a step of a Program's decoder reads.

    weights    bytes of weights
    step       bytes of keys and values for each earlier step of a row
    token      bytes of keys and values for each token of the source
    row_bytes  bytes of all values of a row of each domain
    """

    weights: int
    step: int
    token: int
    row_bytes: Mapping[Domain, int] = {}

    @classmethod
    def of(cls, program: Program, tensors: Tensors, row_bytes: Mapping[Domain, int]) -> Footprint:
        """The footprint of a valid Program; `row_bytes` comes from its code."""
        weights = {i.weight for i in program.decoder if isinstance(i, Linear)}
        found = [i for i in program.decoder if isinstance(i, Attention)]
        own = [2 * i.key_width for i in found if i.sentence is None]
        cross = [2 * i.key_width for i in found if i.sentence is not None]
        size = sum(tensors[name].nbytes for name in weights)
        return cls(size, sum(own), sum(cross), row_bytes)

    def split(self, records: Sequence[Record], beam_size: int) -> Iterator[Sequence[Record]]:
        """Yield the parts of a batch, which are decoded one after the other.

        All parts except the last have the same number of sentences.  An empty batch is one part.
        The choice of parts changes no result.
        """
        size = self.sentences(records, beam_size)
        return (records[at : at + size] for at in range(0, max(len(records), 1), size))

    def sentences(self, records: Sequence[Record], beam_size: int = 1) -> int:
        """The number of sentences to decode at once.

        The expected number of steps is the number of source tokens, and at most `steps` of the
        record; without a source it is `steps`.
        """
        steps = sum(min(record.steps, len(record.ids) or record.steps) for record in records)
        tokens = sum(len(record.ids) for record in records)
        needed = beam_size * steps * self.step + tokens * self.token
        parts = -(-needed // NEAR_BYTES) if self.weights <= MOST_WEIGHTS else 1
        size = max(-(-len(records) // max(parts, 1)), -(-LEAST_ROWS // beam_size))
        return max(1, min(size, MOST_BYTES // self._sentence_bytes(records, beam_size)))

    def parts(self, batch: Sequence[Sequence[int]]) -> Iterator[Sequence[Sequence[int]]]:
        """Yield the parts of a batch for an encoder alone.

        The values of a part take at most MOST_BYTES, or the part is one sentence.
        """
        longest = max(map(len, batch), default=0)
        of_sentence = 1 + longest * self.row_bytes.get("source", 0)
        size = max(1, MOST_BYTES // of_sentence)
        return (batch[at : at + size] for at in range(0, max(len(batch), 1), size))

    def _sentence_bytes(self, records: Sequence[Record], beam_size: int) -> int:
        """Largest size of all values of a sentence."""
        rows: dict[Domain, int] = {
            "source": max((len(record.ids) for record in records), default=0),
            "target": beam_size,
            "history": beam_size * max((record.steps for record in records), default=0),
        }
        return 1 + sum(self.row_bytes.get(domain, 0) * count for domain, count in rows.items())
