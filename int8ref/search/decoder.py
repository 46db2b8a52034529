"""The part of an engine that a search uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from int8ref.program.inputs import Batch
from int8ref.program.program import Program
from int8ref.search.request import Path


class Session(Protocol):
    """An encoded batch of sentences in decoding, with one row for each hypothesis.

    At first there is one row for each sentence, in order.
    """

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Advance every row by the token `ids[row]`.  Returns the logits, int32 [rows,
        vocabulary]."""
        ...

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """Replace the rows by the selected rows, in this order.  A row may be dropped or
        repeated."""
        ...


class Decoder(Protocol):
    """The part of an engine that greedy search, beam search and sampling use."""

    program: Program

    def session(self, batch: Batch) -> Session:
        """Encode a batch: token ids of each source sentence, with their frame."""
        ...


class Scorer(Protocol):
    """The part of an engine that scores of given translations use."""

    program: Program

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """See `engines.engine.Engine.log_probabilities`."""
        ...
