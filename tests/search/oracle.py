"""A model that is a table, and simple searches of this model as oracles.

The table has a row of logits for every prefix of tokens.  It has few different logits, so that ties
occur.  The oracles use whole prefixes, with the exact sums over all tokens of the vocabulary.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from math import floor

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from int8ref.program.inputs import Batch
from int8ref.program.program import Program
from int8ref.reference.log_softmax import LogSoftmax, log_softmax
from int8ref.search import BeamOptions, Hypothesis
from int8ref.search.forced import log_probabilities
from int8ref.search.request import Path

Prefix = tuple[int, ...]
EOS = 0


class TableEngine:
    """A decoder for a search.  A random table maps the sentence and the prefix to logits.

    With `sharpening`, longer prefixes give larger differences of probability.  Then a hypothesis
    with a low mean may still become the best hypothesis.
    """

    def __init__(
        self,
        vocabulary: int,
        seed: int,
        spread: int,
        multiplier: int,
        eos_bonus: int,
        sharpening: int = 0,
    ) -> None:
        self.program = Program(
            encoder=[],
            decoder=[],
            states=[],
            logits="logits",
            log_softmax=LogSoftmax(x="logits", multiplier=multiplier, shift=0, out="log_softmax"),
            start=-1,
            eos=EOS,
            unk=EOS,
            max_source_length=0,
            max_length_factor=0,
        )
        self._vocabulary = vocabulary
        self._seed = seed
        self._spread = spread
        self._eos_bonus = eos_bonus
        self._sharpening = sharpening

    def logits(self, sentence: Sequence[int], prefix: Prefix) -> npt.NDArray[np.int32]:
        """Return the row of a prefix."""
        chance = random.Random(f"{self._seed} {list(sentence)} {prefix}")
        row = [chance.randint(0, self._spread) for _ in range(self._vocabulary)]
        row[EOS] += self._eos_bonus
        return np.array(row, np.int32) * np.int32(1 + self._sharpening * len(prefix))

    def gains(self, sentence: Sequence[int], prefix: Prefix) -> list[int]:
        """Return the log-probabilities of all tokens after a prefix."""
        scale = self.program.log_softmax
        row = self.logits(sentence, prefix)[None]
        gains: list[int] = log_softmax(row, scale.multiplier, scale.shift)[0].tolist()
        return gains

    def session(self, batch: Batch) -> TableSession:
        return TableSession(self, batch)

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        return log_probabilities(self, paths)


class TableSession:
    """A session whose rows are prefixes."""

    def __init__(self, engine: TableEngine, batch: Batch) -> None:
        self._engine = engine
        self._rows: list[tuple[Sequence[int], Prefix]] = [(sentence, ()) for sentence in batch]
        self.steps: list[int] = []

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        first = not self.steps
        assert (ids == -1).all() == first
        self.steps.append(len(ids))
        if not first:
            self._rows = [
                (sentence, (*prefix, int(token)))
                for (sentence, prefix), token in zip(self._rows, ids, strict=True)
            ]
        return np.stack([self._engine.logits(*row) for row in self._rows])

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        self._rows = [self._rows[row] for row in rows]


def tables_of(vocabulary: st.SearchStrategy[int]) -> st.SearchStrategy[TableEngine]:
    return st.builds(
        TableEngine,
        vocabulary=vocabulary,
        seed=st.integers(0, 2**32),
        spread=st.sampled_from([0, 1, 3, 100]),  # 0 makes all tokens equal
        multiplier=st.sampled_from([1, 30_000, 1 << 20, 1 << 29]),  # the last gives mostly -2^30
        eos_bonus=st.sampled_from([-2, 0, 0, 1]),
        sharpening=st.sampled_from([0, 0, 1, 20]),
    )


tables = tables_of(st.integers(2, 5))


def score(total: int, length: int, options: BeamOptions) -> int:
    """Return the normalised score, with a penalty that is rounded as `search.length` defines."""
    base = {"length": Fraction(length), "gnmt": Fraction(5 + length, 6), "none": Fraction(1)}
    chosen = base[options.normalization]
    with localcontext(prec=200):
        power = (Decimal(chosen.numerator) / chosen.denominator) ** (Decimal(options.alpha) / 100)
        divisor = min(floor(power * 2**16 + Decimal("0.5")), 1 << 60)
    return floor(Fraction(total << 16, divisor) + Fraction(1, 2))


def best(ended: list[tuple[Prefix, tuple[int, ...]]], options: BeamOptions) -> list[Hypothesis]:
    """Return the best hypotheses.

    `ended`: pairs (tokens with or without eos, gains) in the order of their ends.
    """
    found = []
    for tokens, gains in ended:
        complete = tokens[-1] == EOS
        ids = tokens[:-1] if complete else tokens
        found.append(Hypothesis(ids, gains, score(sum(gains), len(gains), options), complete))
    found.sort(key=lambda h: (not h.complete, -h.score))  # stable sort: an earlier end comes first
    return found[: options.n_best]


def beam_by_definition(
    engine: TableEngine,
    sentence: Sequence[int],
    limit: int,
    options: BeamOptions,
    given: Sequence[int] = (),
) -> list[Hypothesis]:
    """Run a beam search with all candidates of every step, and without early stopping.

    The model reads the tokens `given` before the tokens of a hypothesis.  Nothing else uses them.
    """
    live: list[tuple[Prefix, tuple[int, ...]]] = [((), ())]
    ended: list[tuple[Prefix, tuple[int, ...]]] = []
    for step in range(1, limit + 1):
        candidates = []
        for rank, (prefix, gains) in enumerate(live):
            read = (*given, *prefix)
            logits = engine.logits(sentence, read).tolist()
            for token, gain in enumerate(engine.gains(sentence, read)):
                key = (-sum(gains) - gain, rank, -logits[token], token)
                candidates.append((key, (*prefix, token), (*gains, gain)))
        places = options.beam_size - len(ended)
        ranked = [(tokens, gains) for _, tokens, gains in sorted(candidates)][:places]
        ended += [c for c in ranked if c[0][-1] == EOS]
        live = [c for c in ranked if c[0][-1] != EOS]
        if step == limit:
            ended += live
    return best(ended, options)


def every_sequence(
    engine: TableEngine, sentence: Sequence[int], limit: int
) -> list[tuple[Prefix, tuple[int, ...]]]:
    """Return all sequences that end with eos or at the limit, the shorter sequences first."""
    ended = []
    level: list[tuple[Prefix, tuple[int, ...]]] = [((), ())]
    for step in range(1, limit + 1):
        longer = [
            ((*prefix, token), (*gains, gain))
            for prefix, gains in level
            for token, gain in enumerate(engine.gains(sentence, prefix))
        ]
        ended += [c for c in longer if c[0][-1] == EOS or step == limit]
        level = [c for c in longer if c[0][-1] != EOS]
    return ended
