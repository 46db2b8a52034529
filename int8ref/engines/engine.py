"""What every backend offers.

reference   plain NumPy, one call an instruction: every tensor can be looked at
compiled    Numba kernels under one interpreter loop, no Python between the instructions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from int8ref.program.inputs import Batch, Observer
from int8ref.program.program import Program
from int8ref.search.decoder import Session
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling
from int8ref.search.request import Path, Request


class Engine(Protocol):
    """What every backend offers.  Engines are immutable and may be used from several threads.

    Methods raise TypeError for arguments of other types, ValueError for numbers that are refused by
    `Request.check` or `Path.check`, and IndexError where the Program has no such token id or no
    position for so many tokens.
    """

    program: Program

    def session(self, batch: Batch, observe: Observer | None = None) -> Session:
        """Encode a batch (token ids of each source sentence, with their frame).

        A decoder alone (see `program.takes_source`) takes a batch of empty sentences, one a row.
        """
        ...

    def greedy(self, requests: Sequence[Request]) -> list[list[int]]:
        """Translate by the most likely token after the most likely token (`search.greedy`).

        The ids of the translations, without prefix and eos.
        """
        ...

    def sample(self, requests: Sequence[Request], sampling: Sampling) -> list[list[int]]:
        """Translate by tokens that are drawn by their probability (`search.sampling`).

        All tokens are drawn from, so that a request with candidates is refused.  Results are as
        `greedy` gives them.
        """
        ...

    def beam(self, requests: Sequence[Request], options: BeamOptions) -> list[list[Hypothesis]]:
        """The n_best best hypotheses of each sentence, best first (fewer only where the vocabulary
        is too small for as many); `search.beam` says which.

        Tokens that are no candidates have no probability.  Hypotheses have no token of the prefix.
        """
        ...

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """log2 P(token | source, tokens before it) of the tokens of each path.

        In units of 2^-20 (`arithmetic.LOG_BITS`), never positive.
        """
        ...
