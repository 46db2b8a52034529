"""The memory of a beam search, and its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi.hypotheses import BLOCK, CHOICE, COUNTS, ENDED, HYPOTHESES, LIVE, NODE
from int8ref.machine.memory.aligned import Memory
from int8ref.search.hypothesis import BeamOptions, Hypothesis


class Hypotheses:
    """Memory for the search of a batch, and its result.

    `address` is the address of the record (`abi.hypotheses.HYPOTHESES`).
    """

    def __init__(
        self, memory: Memory, limits: Sequence[int], vocabulary: int, options: BeamOptions
    ) -> None:
        sentences, size = len(limits), options.beam_size
        choices = min(size, vocabulary)
        shapes: dict[str, tuple[tuple[int, ...], npt.DTypeLike]] = {
            "live": ((sentences, size), LIVE),
            "ended": ((sentences, size), ENDED),
            "counts": ((sentences,), COUNTS),
            "nodes": ((size * sum(limits),), NODE),
            "choices": ((sentences * size, choices), CHOICE),
            "successors": ((size,), LIVE),
            "cursors": ((size,), np.int64),
            "claimed": ((sentences * size,), np.int64),
            "maxima": ((-(-vocabulary // BLOCK),), np.int64),
        }
        record, self.address = memory.array((1,), HYPOTHESES)
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        for name, (shape, kind) in shapes.items():
            self._arrays[name], record[name] = memory.array(shape, kind)
        record["choice_count"] = choices
        self._options = options

    def best(self) -> list[list[Hypothesis]]:
        """The n_best hypotheses of each sentence, best first."""
        return [
            list(self._ended(ended, complete, min(complete + cut, self._options.n_best)))
            for ended, (_, complete, cut) in zip(
                self._arrays["ended"].tolist(), self._arrays["counts"].tolist(), strict=True
            )
        ]

    def _ended(
        self, ended: list[tuple[int, int]], complete: int, count: int
    ) -> Iterator[Hypothesis]:
        for rank, (node, score) in enumerate(ended[:count]):
            tokens: list[tuple[int, int]] = []
            while node >= 0:
                token, gain, node = self._arrays["nodes"][node].tolist()
                tokens.append((token, gain))
            ids, gains = zip(*reversed(tokens), strict=True)
            whole = rank < complete
            yield Hypothesis(ids[:-1] if whole else ids, gains, score, whole)
