"""The memory of a beam search: what native code knows of the hypotheses of every sentence.

A hypothesis is a path through NODES, from its last token back to its first.  All arrays are int64;
words at HYPOTHESES hold their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.machine.memory.aligned import Memory
from int8ref.search.hypothesis import BeamOptions, Hypothesis

(
    LIVE,  # [sentences, beam, 4]: live hypotheses by rank
    ENDED,  # [sentences, beam, 2]: complete ones by score, then cut ones by score
    COUNTS,  # [sentences, 3]: how many are live, complete and cut
    NODES,  # [nodes there may be, 3]: tokens of all hypotheses
    NODE_COUNT,  # [1]: nodes there are
    CHOICES,  # [rows there may be, choices, 2]: the likeliest tokens of each row, best first
    CHOICE_COUNT,  # choices of a row (no address)
    SUCCESSORS,  # [beam, 4]: those of one sentence, as they will be in LIVE
    CURSORS,  # [beam]: how many choices of each hypothesis of one sentence have been ranked
    CLAIMED,  # [rows there may be]: whether a hypothesis lives in the row
    MAXIMA,  # [blocks of a row of logits]: their maxima
    WORDS,
) = range(12)

ROW, NODE, TOTAL, STAYS = range(4)
"""Columns of LIVE: row of the batch, last node, sum of log-probabilities; while rows are given out,
whether it stays in that of the hypothesis it follows."""
END, SCORE = range(2)
"""Columns of ENDED: last node, normalised score."""
ALIVE, COMPLETE, CUT = range(3)
"""Columns of COUNTS."""
TOKEN, GAIN, PARENT = range(3)
"""Columns of NODES: token id, its log-probability, the node before it or -1; CHOICES has the first
two."""

BLOCK = 64
"""Logits that share a maximum."""


class Hypotheses:
    """Room for the search of a batch, and what is in it afterwards; `address` is that of the
    words."""

    def __init__(
        self, memory: Memory, limits: Sequence[int], vocabulary: int, options: BeamOptions
    ) -> None:
        sentences, size = len(limits), options.beam_size
        choices = min(size, vocabulary)
        shapes: dict[int, tuple[int, ...]] = {
            LIVE: (sentences, size, 4),
            ENDED: (sentences, size, 2),
            COUNTS: (sentences, 3),
            NODES: (size * sum(limits), 3),
            NODE_COUNT: (1,),
            CHOICES: (sentences * size, choices, 2),
            SUCCESSORS: (size, 4),
            CURSORS: (size,),
            CLAIMED: (sentences * size,),
            MAXIMA: (-(-vocabulary // BLOCK),),
        }
        words, self.address = memory.array((WORDS,), np.int64)
        self._arrays: dict[int, npt.NDArray[Any]] = {}
        for name, shape in shapes.items():
            self._arrays[name], words[name] = memory.array(shape, np.int64)
        words[CHOICE_COUNT] = choices
        self._options = options

    def best(self) -> list[list[Hypothesis]]:
        """The n_best best of each sentence."""
        return [
            list(self._ended(ended, complete, min(complete + cut, self._options.n_best)))
            for ended, (_, complete, cut) in zip(
                self._arrays[ENDED].tolist(), self._arrays[COUNTS].tolist(), strict=True
            )
        ]

    def _ended(self, ended: list[list[int]], complete: int, count: int) -> Iterator[Hypothesis]:
        for rank, (node, score) in enumerate(ended[:count]):
            tokens: list[tuple[int, int]] = []
            while node >= 0:
                token, gain, node = self._arrays[NODES][node].tolist()
                tokens.append((token, gain))
            ids, gains = zip(*reversed(tokens), strict=True)
            whole = rank < complete
            yield Hypothesis(ids[:-1] if whole else ids, gains, score, whole)
