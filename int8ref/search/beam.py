"""Beam search: the reference of what the compiled engine does in one call.

The beam of a sentence has `beam_size` places; a complete hypothesis keeps its place, the others
hold live ones.  In each step

1. every live hypothesis is followed by every token, and all these candidates are ranked by the sum
   of their log-probabilities; equal sums by the rank of the hypothesis, then by the larger logit,
   then by the lower id;
2. the first candidates, one for each place that no complete hypothesis has, take these places:
   those that end with eos are complete, the others live on, in this order.

The search ends when no hypothesis lives, or at the limit, where those that live are cut as they
are.  The result is the `n_best` best: complete ones before cut ones, then by normalised score, then
whichever ended in an earlier step, then by rank.

It ends earlier where no step could change the result any more.  Let s be the largest sum of a live
hypothesis, m the limit, and n_best hypotheses be complete, the least of them with the score w.  A
live hypothesis that becomes complete has at most m tokens and a sum of at most s, because
log-probabilities are never positive; `length.normalized` rises with the sum and, as penalties do,
with the number of tokens; so its score is at most normalized(s, penalty of m).  If that is at most
w, it does not come before any of the n_best: equal scores go to what ended earlier, and cut
hypotheses come after complete ones anyway.

Where a sentence has a prefix, the search begins after it: its tokens belong to no hypothesis, and
no limit, sum or length counts them.

With a beam of one this is greedy search: the likeliest token lives on until it is eos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from int8ref.reference.log_softmax import LogSoftmax, log_softmax
from int8ref.search.decoder import Decoder
from int8ref.search.hypothesis import BeamOptions, Hypothesis
from int8ref.search.length import normalized, penalties
from int8ref.search.request import Request

Choices = Sequence[tuple[int, int]]
"""(token, log-probability) of the likeliest tokens of a row, best first."""


def beam(
    decoder: Decoder, requests: Sequence[Request], options: BeamOptions
) -> list[list[Hypothesis]]:
    """The best hypotheses of each sentence, best first; see `engines.engine.Engine.beam`."""
    program = decoder.program
    session = decoder.session([request.ids for request in requests])
    searches = [SentenceSearch(program.eos, request.limit, options) for request in requests]
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
                parents = search.advance(
                    [
                        choices(logits[r], request.candidates, program.log_softmax, options)
                        for r in here
                    ]
                )
            rows += [here[parent] for parent in parents]
        going = [index for index in going if searches[index].live]
        tokens = [t for index in going for t in _last(requests[index], searches[index], step)]
        ids = np.array(tokens, np.int32)
        session.select(np.array(rows, np.int64))
        step += 1
    return [search.best() for search in searches]


def _last(request: Request, search: SentenceSearch, step: int) -> list[int]:
    """The token that each live hypothesis of a sentence has at a step."""
    if step < len(request.prefix):
        return [request.prefix[step]]
    return [path.ids[-1] for path in search.live]


def choices(
    logits: npt.NDArray[np.int32],
    tokens: npt.NDArray[np.int32] | None,
    step: LogSoftmax,
    options: BeamOptions,
) -> Choices:
    """The beam_size tokens of the largest logits; of equal ones those with lower ids.

    Only `tokens` count, where they are given.  No step has more places than that.
    """
    if tokens is None:
        tokens = np.arange(len(logits), dtype=np.int32)
    row = logits[tokens]
    found = log_softmax(row[np.newaxis], step.multiplier, step.shift)[0]
    order = np.argsort(-row.astype(np.int64), kind="stable")[: options.beam_size]
    return [(int(tokens[at]), int(found[at])) for at in order]


class SentenceSearch:
    """The search of one sentence: `live` hypotheses in order of rank, and those that ended."""

    def __init__(self, eos: int, limit: int, options: BeamOptions) -> None:
        self.live = [Hypothesis((), (), 0, False)]
        self._eos = eos
        self._limit = limit
        self._options = options
        self._penalties = penalties(options, limit)
        self._complete: list[Hypothesis] = []
        self._cut: list[Hypothesis] = []

    def advance(self, followers: Sequence[Choices]) -> list[int]:
        """One step; `followers` of each live hypothesis.

        The ranks that the parents of those that live on had; none at the end of the search.
        """
        candidates = [
            (path.score + gain, rank, token, gain)
            for rank, (path, choices) in enumerate(zip(self.live, followers, strict=True))
            for token, gain in choices
        ]
        candidates.sort(key=lambda candidate: (-candidate[0], candidate[1]))
        placed = candidates[: self._options.beam_size - len(self._complete)]
        ends = [c for c in placed if c[2] == self._eos]
        goes = [c for c in placed if c[2] != self._eos]
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
        """The n_best best of those that ended; sorting keeps the order of ending."""
        ranked = [*sorted(self._complete, key=_falling), *sorted(self._cut, key=_falling)]
        return ranked[: self._options.n_best]

    def _decided(self) -> bool:
        """Whether no live hypothesis could still come before one of the n_best."""
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
