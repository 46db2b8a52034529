"""What a search needs of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from int8ref.program.inputs import Batch
from int8ref.program.program import Program
from int8ref.search.request import Path


class Session(Protocol):
    """A batch of sentences that has been encoded and is being decoded, one row a hypothesis.

    At first there is one row a sentence, in order.
    """

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Advance every row by the token `ids[row]`: logits int32 [rows, vocabulary]."""
        ...

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """Replace the rows by these rows, in this order; a row may be dropped or repeated."""
        ...


class Decoder(Protocol):
    """What greedy search, beam search and sampling use of an engine."""

    program: Program

    def session(self, batch: Batch) -> Session:
        """Encode a batch: token ids of each source sentence, with their frame."""
        ...


class Scorer(Protocol):
    """What scores of given translations use of an engine."""

    program: Program

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """See `engines.engine.Engine.log_probabilities`."""
        ...
