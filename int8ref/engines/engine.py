"""What every backend offers.

reference   plain NumPy, one call an instruction: every tensor can be looked at
compiled    Numba kernels under one interpreter loop, no Python between the instructions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from int8ref.program.inputs import Batch, Observer
from int8ref.program.program import Program
from int8ref.search.candidates import Candidates
from int8ref.search.decoder import Session
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling


class Engine(Protocol):
    """What every backend offers.  Engines are immutable and may be used from several threads."""

    program: Program

    def session(self, batch: Batch, observe: Observer | None = None) -> Session:
        """Encode a batch (token ids of each source sentence, with their frame).

        A decoder alone (see `program.takes_source`) takes a batch of empty sentences, one a row.
        """
        ...

    def greedy(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """Translate by the most likely token after the most likely token.

        `limits`: most tokens of each translation, at least 1.  `prefixes`: tokens that the decoder
        is given first, which limits do not count.  The ids of the translations, without prefix and
        eos.
        `candidates`: the only tokens that each sentence may be translated with; where eos is not
        among them, up to its limit.
        """
        ...

    def sample(
        self,
        batch: Batch,
        limits: Sequence[int],
        sampling: Sampling,
        texts: Sequence[int] | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """Translate by tokens that are drawn by their probability (`search.sampling`).

        `texts`: a number in [0, 2^44) for each sentence, by which it gets its random numbers; by
        default from 0 on.  Limits, prefixes and results are those of `greedy`.
        """
        ...

    def beam(
        self,
        batch: Batch,
        limits: Sequence[int],
        options: BeamOptions,
        candidates: Candidates | None = None,
    ) -> list[list[Hypothesis]]:
        """The n_best best hypotheses of each sentence, best first (fewer only where the vocabulary
        is too small for as many); `search.beam` says which.

        `limits`: most tokens of each hypothesis, in [1, 8192].  `candidates`: as for `greedy`; the
        others have no probability.  Raises ValueError otherwise, and
        IndexError where the Program has no position for so many.
        """
        ...

    def score(
        self, batch: Batch, targets: Sequence[Sequence[int]], options: BeamOptions
    ) -> list[Hypothesis]:
        """Given translations as complete hypotheses: each target's ids, and eos after them.

        `targets`: token ids without eos, one target a sentence.  Of `options`, only the
        normalisation counts.  Raises ValueError for targets that no search could give.
        """
        ...

    def log_probabilities(
        self, batch: Batch, starts: Sequence[int], paths: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        """log2 P(token | source, tokens before it) of every token of a path a sentence.

        `starts`: the token before the first of each path, such as the Program's start.  No token
        ends a path, so that it may be of any text.  In units of 2^-20 (`arithmetic.LOG_BITS`),
        never positive.  Raises ValueError for an empty path or a token that is none, IndexError
        where the Program has no position for so many.
        """
        ...
