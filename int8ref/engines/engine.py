"""The interface of all backends.

reference   plain NumPy, one call for each instruction; every value can be observed
compiled    Numba kernels under one interpreter loop, without Python between the instructions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy.typing as npt

from int8ref.program.inputs import Batch, Observer
from int8ref.program.program import Program
from int8ref.search.decoder import Piece, Session
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling
from int8ref.search.request import Path, Request


class Engine(Protocol):
    """The interface of all backends.  Engines are immutable, and several threads may use one
    engine.

    The methods of searches raise ValueError for an encoder alone, because it writes no tokens.
    Methods raise TypeError for arguments of a wrong type.  They raise ValueError for numbers that
    `Request.check` or `Path.check` refuses.  They raise IndexError if the Program has no such token
    id, or not enough positions for the tokens.
    """

    program: Program

    @property
    def threads_of_a_call(self) -> int:
        """The largest number of threads that have run a call together."""
        ...

    def session(self, batch: Batch, observe: Observer | None = None) -> Session:
        """Encode a batch (token ids of each source sentence, with their frame).

        A decoder alone (see `program.takes_source`) takes a batch of empty sentences, one for each
        row.
        """
        ...

    def outputs(self, batch: Batch) -> npt.NDArray[Any]:
        """The output of an encoder alone, [sentences, width], for a batch as for `session`.

        The row of a sentence depends on this sentence only.  Raises ValueError if the Program has a
        decoder.
        """
        ...

    def greedy(self, requests: Sequence[Request], rows: int | None = None) -> list[list[int]]:
        """Translate by greedy search (`search.greedy`).

        rows   largest number of sentences that are computed at once, at least 1.  The others wait,
               and each begins as soon as another one ends.  None: the engine chooses.  The number
               changes no result.

        Returns the ids of the translations, without prefix and eos.
        """
        ...

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, rows: int | None = None
    ) -> list[list[int]]:
        """Translate by sampling (`search.sampling`); `rows` as for `greedy`.

        All tokens can be drawn, so that a request with candidates raises ValueError.  Returns the
        ids of the translations, without prefix and eos.
        """
        ...

    def beam(self, requests: Sequence[Request], options: BeamOptions) -> list[list[Hypothesis]]:
        """Translate by beam search (`search.beam`), and return the n_best hypotheses, best first.

        There are fewer than n_best hypotheses only if the vocabulary is too small.  Only candidates
        have a probability.  Hypotheses contain no token of the prefix.
        """
        ...

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """log2 P(token | source, earlier tokens) of the tokens of each path.

        The unit is 2^-20 (`arithmetic.LOG_BITS`), and the numbers are never positive.
        """
        ...

    def logits(self, paths: Sequence[Path]) -> Iterator[Piece]:
        """The logits of every step of each path, for all tokens of the vocabulary.

        Row t of a path has the logits after its start and its first t tokens, the prefix included;
        its last token is not read.  Yields the rows in pieces: (place of the path, first step,
        int32 [steps, vocabulary]).  The steps of a path ascend; the order of the paths is open.
        The pieces change no value, and each has a limited size.
        """
        ...
