"""Digests of the logits of translations, and drafts: translations that somebody expects.

A search computes one token after another.  If the tokens are known, an engine reads many steps at
once (`Decoder.logits`).  Therefore reading a translation takes less time than finding it.

The digest of a translation is the SHA-256 of its logits: int32, little-endian, one row for each
token after the prefix, and a last row for the end mark if the translation ended before its limit.
A row holds the logits of the whole vocabulary, as the Program gives them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.program.program import Program
from int8ref.search.decoder import Decoder
from int8ref.search.logits import Logits as Stage
from int8ref.search.request import Path, Request, Tokens

READ_ROWS = 64
"""Largest number of translations that are computed at once, so that they take little memory."""
NOTHING = hashlib.sha256().hexdigest()
"""The digest of a translation without logits."""

Logits = npt.NDArray[np.int32]
Step = list[tuple[int, int, int]]
"""Tokens that may follow, best first: a token, its logit and its log-probability."""
Item = TypeVar("Item")


class Given(msgspec.Struct, frozen=True, eq=False):
    """A translation to read.

    request  the request of the search: source, prefix, limit, candidates
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


def digests(decoder: Decoder, translations: Sequence[Given]) -> list[str]:
    """The digest of each translation."""
    found: list[str] = []
    for part in _parts(translations):
        rows = [_Row(given.request, list(given.ids), given.ended) for given in part]
        _read(decoder, rows)
        found += [row.digest for row in rows]
    return found


def likeliest(decoder: Decoder, translations: Sequence[Given], count: int) -> list[list[Step]]:
    """The `count` likeliest tokens of each step of each translation, of the whole vocabulary.

    The first is the largest logit; of equal logits, the lower id comes first.
    """
    found: list[list[Step]] = []
    for part in _parts(translations):
        rows = [_LikelyRow(given, decoder.program, count) for given in part]
        _read(decoder, rows)
        found += [row.steps for row in rows]
    return found


def greedy(decoder: Decoder, requests: Sequence[Request]) -> list[tuple[list[int], str]]:
    """Greedy search (`search.greedy`): the ids and the digest of each translation."""
    found: list[tuple[list[int], str]] = []
    for part in _parts(requests):
        rows = [_GreedyRow(request, decoder.program) for request in part]
        _search(decoder, rows)
        found += [(row.ids, row.digest) for row in rows]
    return found


def confirmed(decoder: Decoder, drafts: Sequence[Given], vocabulary: int) -> list[str | None]:
    """The digest of each draft that greedy search gives; None for any other draft.

    The tokens of a draft may be any integers.
    """
    known = [
        len(draft.ids) <= draft.request.limit and all(0 <= id < vocabulary for id in draft.ids)
        for draft in drafts
    ]
    found: list[str | None] = []
    for part in _parts([draft for draft, is_known in zip(drafts, known, strict=True) if is_known]):
        rows = [_DraftRow(draft, decoder.program) for draft in part]
        _read(decoder, rows)
        found += [row.digest if row.agreed else None for row in rows]
    each = iter(found)
    return [next(each) if is_known else None for is_known in known]


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    each = iter(items)
    while part := list(islice(each, READ_ROWS)):
        yield part


class _Row:
    """A translation that is read.  Its tokens are known."""

    def __init__(self, request: Request, ids: list[int], ended: bool) -> None:
        self.request, self.ids, self._ended = request, ids, ended
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of the logits so far."""
        return self._hash.hexdigest()

    def path(self, program: Program) -> Path:
        """The tokens of the translation; an end mark stands for the last step, if there is one."""
        end = (program.eos,) if self._ended else ()
        return Path(self.request.ids, program.start, (*self.ids, *end), self.request.prefix)

    def take(self, logits: Logits, step: int) -> int | None:
        """Process the logits of a step.  Return the next token, or None at the end."""
        prefix = self.request.prefix
        if step < len(prefix):
            return prefix[step]
        self._hash.update(logits.astype("<i4", copy=False).data)
        return self.follow(logits, step - len(prefix))

    def follow(self, logits: Logits, at: int) -> int | None:
        """Return the token at a place after the prefix, or None at the end."""
        return self.ids[at] if at + 1 < len(self.ids) + self._ended else None


class _LikelyRow(_Row):
    """A translation, and the likeliest tokens of its steps."""

    def __init__(self, given: Given, program: Program, count: int) -> None:
        super().__init__(given.request, list(given.ids), given.ended)
        self.steps: list[Step] = []
        self._softmax, self._count = program.softmax, count

    def follow(self, logits: Logits, at: int) -> int | None:
        """See `_Row.follow`."""
        if at < len(self.ids) + self._ended:
            log2 = self._softmax.of(logits[np.newaxis])[0]
            order = np.argsort(-logits.astype(np.int64), kind="stable")[: self._count]
            self.steps.append([(int(n), int(logits[n]), int(log2[n])) for n in order])
        return super().follow(logits, at)


class _GreedyRow(_Row):
    """A translation whose tokens are found."""

    def __init__(self, request: Request, program: Program) -> None:
        super().__init__(request, [], ended=True)
        self._ends, self._stage = program.ends, Stage(program, request)

    def follow(self, logits: Logits, at: int) -> int | None:
        """See `_Row.follow`."""
        token = self._stage.row(logits, self.ids).likeliest
        if token in self._ends:
            return None
        self.ids.append(token)
        return token if len(self.ids) < self.request.limit else None


class _DraftRow(_Row):
    """A translation that is read as long as greedy search gives the same tokens."""

    def __init__(self, draft: Given, program: Program) -> None:
        super().__init__(draft.request, list(draft.ids), draft.ended)
        self._ends, self._stage = program.ends, Stage(program, draft.request)
        self.agreed = False

    def follow(self, logits: Logits, at: int) -> int | None:
        """See `_Row.follow`."""
        token = self._stage.row(logits, self.ids[:at]).likeliest
        ends = token in self._ends
        right = ends if at == len(self.ids) else token == self.ids[at] and not ends
        following = super().follow(logits, at) if right else None
        self.agreed = right and following is None
        return following


def _read(decoder: Decoder, rows: Sequence[_Row]) -> None:
    """Read translations whose tokens are known."""
    live = [True] * len(rows)
    for place, first, found in decoder.logits([row.path(decoder.program) for row in rows]):
        for step, logits in enumerate(found, first):
            live[place] = live[place] and rows[place].take(logits, step) is not None


def _search(decoder: Decoder, rows: Sequence[_GreedyRow]) -> None:
    """Find translations together.  Equal sources are encoded once."""
    places: dict[tuple[int, ...], int] = {}
    owners = [places.setdefault(tuple(row.request.ids), len(places)) for row in rows]
    session = decoder.session([list(source) for source in places])
    session.select(np.array(owners, np.int64))
    live, ids, step = list(rows), [decoder.program.start] * len(rows), 0
    while live:
        logits = session.step(np.array(ids, np.int32))
        found = [row.take(logits[at], step) for at, row in enumerate(live)]
        going = [at for at, token in enumerate(found) if token is not None]
        if len(going) < len(live):
            live = [live[at] for at in going]
            session.select(np.array(going, np.int64))
        ids = [token for token in found if token is not None]
        step += 1
