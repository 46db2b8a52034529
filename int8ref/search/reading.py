"""Reads given translations: digests of their logits, and whether a search gives the same tokens.

A search computes one token after another.  If the tokens are known, the logits of all positions can
be computed from them at once.  Today a session reads one token in a step; an engine that reads many
positions in a step needs another loop here, and no other change.

The digest of a translation is the SHA-256 of its logits: int32, little-endian, one row for each
token after the prefix, and a last row for the end mark if the translation ended before its limit.
A row holds the logits of the whole vocabulary, as the Program gives them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.search.decoder import Decoder
from int8ref.search.greedy import likeliest
from int8ref.search.hypothesis import Sampling
from int8ref.search.request import Request, Tokens
from int8ref.search.sampling import drawn, random_numbers, weights

READ_ROWS = 64
"""Largest number of translations that are read at once, so that their logits take little memory."""

NOTHING = hashlib.sha256().hexdigest()
"""The digest of a translation without logits."""

Logits = npt.NDArray[np.int32]
Choose = Callable[[Logits, Request, int], int]
"""Returns the token that a search takes: for a row of logits, a request, and the place of the token
after the prefix, from 0."""


class Given(msgspec.Struct, frozen=True, eq=False):
    """A translation to read.

    request  the request of the search: source, prefix, limit, candidates, number
    ids      tokens after the prefix, without the end mark
    ended    True if an end mark follows
    """

    request: Request
    ids: Tokens
    ended: bool

    @staticmethod
    def of(request: Request, ids: Tokens) -> Given:
        """A translation of a search without scores: it ended if it is shorter than its limit."""
        return Given(request, ids, len(ids) < request.limit)

    @property
    def inputs(self) -> list[int]:
        """The tokens that the decoder reads after the start token."""
        return [*self.request.prefix, *self.ids][: self.steps - 1]

    @property
    def steps(self) -> int:
        """Number of steps of the decoder."""
        return len(self.request.prefix) + len(self.ids) + self.ended


def digests(decoder: Decoder, translations: Sequence[Given]) -> list[str]:
    """The digest of each translation."""
    return [found or "" for part in _parts(translations) for found in _read(decoder, part, None)]


def confirmed(
    decoder: Decoder, translations: Sequence[Given], choose: Choose, vocabulary: int
) -> list[str | None]:
    """The digest of each translation that a search with `choose` gives; None for any other one.

    The tokens of a translation may be any integers.
    """
    known = [
        len(one.ids) <= one.request.limit and all(0 <= token < vocabulary for token in one.ids)
        for one in translations
    ]
    sound = [one for one, is_known in zip(translations, known, strict=True) if is_known]
    found = iter([each for part in _parts(sound) for each in _read(decoder, part, choose)])
    return [next(found) if is_known else None for is_known in known]


def greedy_choice(logits: Logits, request: Request, at: int) -> int:
    """The token of greedy search."""
    return likeliest(logits, request.candidates)


def drawing(decoder: Decoder, sampling: Sampling) -> Choose:
    """The choice of sampling."""

    def choose(logits: Logits, request: Request, at: int) -> int:
        random = random_numbers(sampling.seed, [request.number], at + 1)
        weight = weights(logits[np.newaxis], decoder.program.softmax, sampling)
        return drawn(weight[0], int(random[0, at]))

    return choose


def _parts(translations: Sequence[Given]) -> Iterator[list[Given]]:
    each = iter(translations)
    while part := list(islice(each, READ_ROWS)):
        yield part


class _Reading:
    """The state of the reading of one translation."""

    def __init__(self, given: Given, ends: Sequence[int], choose: Choose | None) -> None:
        self._given, self._ends, self._choose = given, ends, choose
        self._hash = hashlib.sha256()
        self.inputs = given.inputs
        self.digest: str | None = None

    def take(self, logits: Logits, step: int) -> bool:
        """Process the logits of a step.  Return whether another step follows."""
        given = self._given
        at = step - len(given.request.prefix)
        if at >= 0:
            self._hash.update(logits.astype("<i4", copy=False).data)
            if self._choose and not self._agrees(self._choose(logits, given.request, at), at):
                return False
        if step + 1 < given.steps:
            return True
        self.digest = self._hash.hexdigest()
        return False

    def _agrees(self, token: int, at: int) -> bool:
        if at == len(self._given.ids):
            return token in self._ends
        return token == self._given.ids[at] and token not in self._ends


def _read(decoder: Decoder, part: Sequence[Given], choose: Choose | None) -> list[str | None]:
    """Read some translations together.  Equal sources are encoded once."""
    places: dict[tuple[int, ...], int] = {}
    owners = [places.setdefault(tuple(one.request.ids), len(places)) for one in part]
    readings = [_Reading(one, decoder.program.ends, choose) for one in part]
    session = decoder.session([list(source) for source in places])
    session.select(np.array(owners, np.int64))
    rows, ids = list(readings), [decoder.program.start] * len(readings)
    step = 0
    while rows:
        logits: npt.NDArray[Any] = session.step(np.array(ids, np.int32))
        going = [place for place, row in enumerate(rows) if row.take(logits[place], step)]
        if len(going) < len(rows):
            rows = [rows[place] for place in going]
            session.select(np.array(going, np.int64))
        ids = [row.inputs[step] for row in rows]
        step += 1
    return [reading.digest for reading in readings]
