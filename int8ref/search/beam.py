"""Beam search: the reference for the compiled engine, which runs it in one call.

The beam of a sentence has `beam_size` places.  A complete hypothesis keeps its place.  The other
places hold live hypotheses.  Each step does this:

1. Extend every live hypothesis by every token.  Rank these candidates by the sum of their
   log-probabilities.  Equal sums rank by the rank of the hypothesis, then by the larger
   logit, then by the lower id.
2. Fill the places that no complete hypothesis has with the first candidates.  A candidate that
   ends with an end mark is complete.  The others are the live hypotheses of the next step, in this
   order.

The search ends when no hypothesis lives.  It also ends at the limit, and then the live hypotheses
are cut.  The result is the `n_best` best hypotheses.  Complete hypotheses come before cut ones;
then the higher normalised score, then the earlier step of ending, then the better rank decides.

The search ends earlier if no further step can change the result.  Let s be the largest sum of a
live hypothesis, and m the limit.  Let at least n_best hypotheses be complete, and let w be the
score of the n_best-th best of them.  A live hypothesis that becomes complete has at most m tokens.
Its sum is at most s, because log-probabilities are never positive.  `length.normalized` rises with
the sum and with the penalty, and the penalty never falls with the number of tokens.  Therefore its
score is at most normalized(s, penalty of m).  If this is at most w, the hypothesis cannot come
before any of the n_best, because the earlier ending wins between equal scores.  A cut hypothesis
cannot either, because it comes after all complete ones.

If a sentence has a prefix, the search begins after it.  The tokens of the prefix belong to no
hypothesis, and no limit, sum or length counts them.

With a beam of one, beam search is greedy search: the likeliest token lives on until it is eos.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from int8ref.search.decoder import Decoder
from int8ref.search.hypothesis import BeamOptions, Hypothesis
from int8ref.search.length import normalized, penalties
from int8ref.search.logits import Logits, Row
from int8ref.search.request import Request

Choices = Sequence[tuple[int, int]]
"""(token, log-probability) of the likeliest tokens of a row, best first."""


def beam(
    decoder: Decoder, requests: Sequence[Request], options: BeamOptions
) -> list[list[Hypothesis]]:
    """The best hypotheses of each sentence, best first; see `engines.engine.Engine.beam`."""
    program = decoder.program
    session = decoder.session([request.ids for request in requests])
    stages = [Logits(program, request) for request in requests]
    searches = [SentenceSearch(program.ends, request.limit, options) for request in requests]
    ids = np.full(len(requests), program.start, np.int32)
    going = list(range(len(requests)))
    step = 0
    while going:
        logits = session.step(ids)
        rows: list[int] = []
        first = 0
        for index in going:
            search, request = searches[index], requests[index]
            here = range(first, first + len(search.live))
            first = here.stop
            parents = [0]
            if step >= len(request.prefix):
                read = [
                    stages[index].row(logits[r], path.ids)
                    for r, path in zip(here, search.live, strict=True)
                ]
                parents = search.advance([choices(row, options) for row in read])
            rows += [here[parent] for parent in parents]
        going = [index for index in going if searches[index].live]
        tokens = [t for index in going for t in _last(requests[index], searches[index], step)]
        ids = np.array(tokens, np.int32)
        session.select(np.array(rows, np.int64))
        step += 1
    return [search.best() for search in searches]


def _last(request: Request, search: SentenceSearch, step: int) -> list[int]:
    """The last token of each live hypothesis of a sentence after a step."""
    if step < len(request.prefix):
        return [request.prefix[step]]
    return [path.ids[-1] for path in search.live]


def choices(row: Row, options: BeamOptions) -> Choices:
    """The beam_size tokens with the largest logits; of equal logits, the lower ids come first.

    Only the tokens of the row count.  More choices are not needed, because a step fills at most
    beam_size places.
    """
    found = row.softmax.of(row.logits[np.newaxis])[0]
    order = np.argsort(-row.logits.astype(np.int64), kind="stable")[: options.beam_size]
    return [(int(row.tokens[at]), int(found[at])) for at in order]


class SentenceSearch:
    """The search of one sentence: its live hypotheses in order of rank, and its ended
    hypotheses."""

    def __init__(self, ends: Collection[int], limit: int, options: BeamOptions) -> None:
        self.live = [Hypothesis((), (), 0, False)]
        self._ends = ends
        self._limit = limit
        self._options = options
        self._penalties = penalties(options, limit)
        self._complete: list[Hypothesis] = []
        self._cut: list[Hypothesis] = []

    def advance(self, followers: Sequence[Choices]) -> list[int]:
        """Run one step; `followers` are the choices of each live hypothesis.

        Returns the old rank of the parent of each new live hypothesis; nothing at the end of the
        search.
        """
        candidates = [
            (path.score + gain, rank, token, gain)
            for rank, (path, choices) in enumerate(zip(self.live, followers, strict=True))
            for token, gain in choices
        ]
        candidates.sort(key=lambda candidate: (-candidate[0], candidate[1]))
        placed = candidates[: self._options.beam_size - len(self._complete)]
        ends = [c for c in placed if c[2] in self._ends]
        goes = [c for c in placed if c[2] not in self._ends]
        length = len(self.live[0].ids) + 1
        for total, rank, _, gain in ends:
            path = self.live[rank]
            self._complete.append(self._ended(path.ids, (*path.tokens, gain), total, True))
        self.live = [
            Hypothesis((*self.live[rank].ids, token), (*self.live[rank].tokens, gain), total, False)
            for total, rank, token, gain in goes
        ]
        if length == self._limit:
            self._cut = [self._ended(p.ids, p.tokens, p.score, False) for p in self.live]
        if length == self._limit or self._decided():
            self.live = []
        return [rank for _, rank, _, _ in goes] if self.live else []

    def best(self) -> list[Hypothesis]:
        """The n_best best ended hypotheses.  Equal scores stay in order of ending, because sorting
        is stable."""
        ranked = [*sorted(self._complete, key=_falling), *sorted(self._cut, key=_falling)]
        return ranked[: self._options.n_best]

    def _decided(self) -> bool:
        """Whether no live hypothesis can come before one of the n_best."""
        wanted = self._options.n_best
        if len(self._complete) < wanted or not self.live:
            return not self.live
        worst = sorted(self._complete, key=_falling)[wanted - 1].score
        return normalized(self.live[0].score, self._penalties[self._limit]) <= worst

    def _ended(
        self, ids: tuple[int, ...], tokens: tuple[int, ...], total: int, complete: bool
    ) -> Hypothesis:
        score = normalized(total, self._penalties[len(tokens)])
        return Hypothesis(ids, tokens, score, complete)


def _falling(hypothesis: Hypothesis) -> int:
    return -hypothesis.score
