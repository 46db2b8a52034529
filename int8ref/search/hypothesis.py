"""What a search gives, and what it may be asked for."""

from __future__ import annotations

from typing import Literal, get_args

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
)

Normalization = Literal["length", "gnmt", "none"]


class Hypothesis(msgspec.Struct, frozen=True):
    """A translation and what the model thinks of it.

    ids       its tokens, without eos
    tokens    log2 P(token | source, tokens before it) of each token, and of the eos that ends it;
              in units of 2^-20 (`arithmetic.LOG_BITS`), never positive
    score     the sum of `tokens`, normalised by their number (`length.normalized`), in those units
    complete  whether it ended with eos; otherwise it was cut at its limit, and `tokens` has no eos
    """

    ids: tuple[int, ...]
    tokens: tuple[int, ...]
    score: int
    complete: bool


class BeamOptions(msgspec.Struct, frozen=True):
    """How to search.

    beam_size      hypotheses that live on after each step, in [1, 64]; 1 is greedy search
    n_best         most hypotheses that are wanted of a sentence, in [1, beam_size]
    normalization  how sums of log-probabilities are divided (`length.penalty`)
    alpha          exponent of the length in it, in hundredths, in [0, 1000]

    Raises ValueError.
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
    """How tokens are drawn.

    temperature  in hundredths, from 1 to 10,000: logits are divided by it
    top_k        only so many likeliest tokens are drawn from (more where several are as likely as
                 the last of them); 0: all
    top_p        in hundredths: only the fewest likeliest tokens are drawn from that together have
                 so much of the probability (and those as likely as the last); 100: all
    seed         of the random numbers, in [0, 2^63)

    Raises ValueError.
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
