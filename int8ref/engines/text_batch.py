"""Batches that texts enter and leave: the interface, and the batch of any engine.

The compiled engine has a batch of its own (`engines.running`).  Another engine, or another decoder,
computes one text after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from int8ref.engines.engine import Engine
from int8ref.search.hypothesis import Sampling
from int8ref.search.request import Request

SEATS_PER_ROW = 16
"""Texts that one batch takes up in all, for each row.  Afterwards another batch has to begin."""


class Seen(msgspec.Struct, frozen=True):
    """What is known of a text: its tokens so far, and whether it is finished."""

    ids: list[int]
    ended: bool


class TextBatch(Protocol):
    """Texts that are continued together.  One thread calls `run`, and any thread the others.

    waits  whether a text is not finished
    """

    def enter(self, request: Request, seed: int = 0) -> int | None:
        """Add a text, whose place is returned; None: all places were taken.

        The random numbers of the text depend on `seed` and on the number of the request.  Raises
        the errors of `Engine.greedy`.
        """
        ...

    def end(self, place: int) -> None:
        """End a text after its next token, because nobody wants the others."""
        ...

    def seen(self, places: Sequence[int]) -> list[Seen]:
        """Return what is known of texts.

        The tokens of a text may be some steps old.  They are final if `ended`.
        """
        ...

    def run(self) -> None:
        """Compute until every text is finished.

        A text that enters at the very end may be left: call `run` again while `waits`.
        """
        ...

    @property
    def waits(self) -> bool: ...


class SingleTexts:
    """Computes one text after the other, with any engine."""

    def __init__(self, engine: Engine, sampling: Sampling | None, rows: int) -> None:
        self._engine, self._sampling = engine, sampling
        self._seats = rows * SEATS_PER_ROW
        self._texts: list[tuple[Request, int]] = []
        self._seen: list[Seen] = []

    def enter(self, request: Request, seed: int = 0) -> int | None:
        """See `TextBatch.enter`."""
        if len(self._texts) == self._seats:
            return None
        self._seen.append(Seen([], ended=False))
        self._texts.append((request, seed))
        return len(self._texts) - 1

    def end(self, place: int) -> None:
        """See `TextBatch.end`.  A text that is being computed is computed to its end."""
        self._seen[place] = Seen([], ended=True)

    def seen(self, places: Sequence[int]) -> list[Seen]:
        """See `TextBatch.seen`."""
        return [self._seen[place] for place in places]

    def run(self) -> None:
        """See `TextBatch.run`."""
        for place, (request, seed) in enumerate(self._texts):
            if not self._seen[place].ended:
                self._seen[place] = Seen(self._computed(request, seed), ended=True)

    @property
    def waits(self) -> bool:
        """See `TextBatch`."""
        return not all(seen.ended for seen in self._seen)

    def _computed(self, request: Request, seed: int) -> list[int]:
        if self._sampling is None:
            return self._engine.greedy([request])[0]
        return self._engine.sample([request], msgspec.structs.replace(self._sampling, seed=seed))[0]
