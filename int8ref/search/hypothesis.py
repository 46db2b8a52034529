"""The result of a search, and its options."""

from __future__ import annotations

from typing import get_args

import msgspec

from int8ref.errors import WrongValueError
from int8ref.search.checks import check_range
from int8ref.spec.limits import (
    ALL,
    MAX_ALPHA,
    MAX_BEAM,
    MAX_SEED,
    MAX_TEMPERATURE,
    MAX_TOP_K,
    Normalization,
)


class Hypothesis(msgspec.Struct, frozen=True):
    """A translation with the log-probabilities that the model gives it.

    ids       tokens of the translation, without the end mark
    tokens    log2 P(token | source, earlier tokens) of each token, and of the end mark;
              in units of 2^-20 (`arithmetic.LOG_BITS`), never positive
    score     the sum of `tokens`, divided by the length penalty (`length.normalized`); same units
    complete  whether the translation ended with an end mark; otherwise the limit cut it, and
              `tokens` has no end mark
    """

    ids: tuple[int, ...]
    tokens: tuple[int, ...]
    score: int
    complete: bool


class BeamOptions(msgspec.Struct, frozen=True):
    """Options of beam search.

    beam_size      places for hypotheses of a sentence, in [1, 64]; 1 is greedy search
    n_best         largest number of hypotheses in the result of a sentence, in [1, beam_size]
    normalization  kind of the length penalty (`length.penalty`)
    alpha          exponent of the length in the penalty, in hundredths, in [0, 1000]

    Raises ValueError outside these ranges.
    """

    beam_size: int = 4
    n_best: int = 1
    normalization: Normalization = "length"
    alpha: int = 100

    def __post_init__(self) -> None:
        check_range("beam_size", self.beam_size, 1, MAX_BEAM)
        check_range("n_best", self.n_best, 1, self.beam_size)
        check_range("alpha", self.alpha, 0, MAX_ALPHA)
        known = get_args(Normalization)
        if self.normalization not in known:
            raise WrongValueError(f"normalization {self.normalization!r} is not one of {known}")


class Sampling(msgspec.Struct, frozen=True):
    """Options of sampling.

    temperature  divisor of the logits, in hundredths, in [1, 10000]
    top_k        number of likeliest tokens to draw from, in [0, 2^31]; tokens that are as likely as
                 the last one are included; 0: all tokens
    top_p        probability in hundredths, in [1, 100]: tokens are drawn only from the smallest
                 set of likeliest tokens that has this probability; tokens that are as likely as
                 the last one are included; 100: all tokens
    seed         seed of the random numbers, in [0, 2^63)

    Raises ValueError outside these ranges.
    """

    temperature: int = 100
    top_k: int = 0
    top_p: int = ALL
    seed: int = 0

    def __post_init__(self) -> None:
        check_range("temperature", self.temperature, 1, MAX_TEMPERATURE)
        check_range("top_k", self.top_k, 0, MAX_TOP_K)
        check_range("top_p", self.top_p, 1, ALL)
        check_range("seed", self.seed, 0, MAX_SEED)
