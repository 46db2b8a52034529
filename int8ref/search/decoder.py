"""The part of an engine that a search uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from int8ref.program.inputs import Batch
from int8ref.program.program import Program
from int8ref.search.request import Path, Tokens

Piece = tuple[int, int, npt.NDArray[np.int32]]
"""The logits of some steps of a path: its place, the first step, and int32 [steps, vocabulary]."""


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

    def logits(self, paths: Sequence[Path]) -> Iterator[Piece]:
        """See `engines.engine.Engine.logits`."""
        ...


class Scorer(Protocol):
    """The part of an engine that scores of given translations use."""

    program: Program

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """See `engines.engine.Engine.log_probabilities`."""
        ...


def distinct_sources(sources: Iterable[Tokens]) -> tuple[list[list[int]], list[int]]:
    """Return the different sources, and the place of each source among them.

    Any items are allowed, because the session that encodes the sources checks them.
    """
    places: dict[str, int] = {}
    distinct: list[list[int]] = []
    owners = []
    for source in sources:
        tokens = list(source)
        place = places.setdefault(repr(tokens), len(distinct))
        if place == len(distinct):
            distinct.append(tokens)
        owners.append(place)
    return distinct, owners


def step_by_step(decoder: Decoder, paths: Sequence[Path]) -> Iterator[Piece]:
    """The definition of `Decoder.logits`: one step of a session for all paths that are so long.

    Equal sources are encoded once.
    """
    sources, owners = distinct_sources(path.ids for path in paths)
    session = decoder.session(sources)
    session.select(np.array(owners, np.int64))
    inputs = [path.inputs for path in paths]
    live, step = list(range(len(paths))), 0
    while live:
        found = session.step(np.array([inputs[place][step] for place in live], np.int32))
        for row, place in enumerate(live):
            yield place, step, found[row : row + 1]
        step += 1
        going = [row for row, place in enumerate(live) if step < len(inputs[place])]
        if len(going) < len(live):
            live = [live[row] for row in going]
            session.select(np.array(going, np.int64))
