"""What may be asked of a translation.  Batches and threads are not here: they change no result."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, DefaultContext, localcontext
from typing import Literal, get_args

from int8ref.errors import UserError
from int8ref.search.hypothesis import BeamOptions, Normalization, Sampling
from int8ref.spec.limits import ALL, MAX_ALPHA, MAX_BEAM, MAX_TEMPERATURE

AlignmentKind = Literal["hard", "soft"]
Number = Decimal | int | float | str
"""A decimal number: 0.6 is six tenths, as it is written."""

NORMALIZATIONS = get_args(Normalization)
ALIGNMENTS = get_args(AlignmentKind)
MAX_LENGTH = 1024
"""Most tokens of a translation that may be asked for; a model's positions may allow fewer."""
RANGES = {
    "alpha": (0, MAX_ALPHA),
    "max_length_factor": (1, 10_000),
    "temperature": (0, MAX_TEMPERATURE),
    "top_p": (1, ALL),
}
"""Ranges of decimal numbers, in hundredths."""


SAMPLING = ("top_k", "top_p", "seed")
"""Options that say how tokens are drawn."""


class OptionError(UserError, ValueError):
    """An option that cannot be: the message says which and why."""


def hundredths(name: str, value: Number) -> int:
    """100 times the decimal number `value` of option `name`.  Raises `OptionError`."""
    low, high = RANGES[name]
    with contextlib.suppress(ArithmeticError), localcontext(DefaultContext):
        number = Decimal(str(value)).scaleb(2)
        if low <= number <= high and number == int(number):
            return int(number)
    lowest, highest = Decimal(low) / 100, Decimal(high) / 100
    raise OptionError(f"{name} is {value!r}, not a number from {lowest} to {highest}, by 0.01")


@dataclass(frozen=True)
class Options:
    """What a translation is and what is told about it.

    beam_size          hypotheses kept in each step; 1 is greedy search
    n_best             translations of each sentence, at most beam_size
    distinct           of translations of equal text only the best is kept: n_best texts, or fewer
                       where the beam (or what is drawn) has no more
    normalization      how sums of unlike length are compared: see `Scores`; by default "length"
    alpha              exponent of the length in the normalisation, from 0 to 10 in hundredths, such
                       as 0.6; by default the model's own, which may be 0: no normalisation
    scores             whether scores are told
    alignment          whether source and target tokens are aligned: "hard" one source token each,
                       "soft" also the weights
    shortlist          whether only those tokens are considered that the model's lexical shortlist
                       has for the sentence: faster, and a little worse
    max_length         most tokens of a translation
    max_length_factor  most tokens of a translation as a multiple of its source's, in hundredths
                       from 0.01 to 100; by default the model's own
    temperature        if not 0, tokens are drawn by their probability, logits divided by it, in
                       hundredths up to 100, instead of a search; n_best translations are drawn of
                       each sentence, and stay in that order
    top_k              they are drawn from so many likeliest tokens; 0: from all
    top_p              they are drawn from the likeliest tokens that have so much of the
                       probability, in hundredths up to 1
    seed               of what is drawn, in [0, 2^63)
    target_prefix      text that every translation begins with.  Limits count its tokens, scores do
                       not: they are those of what follows, given the prefix

    What would do nothing is refused: top_k, top_p and seed without temperature, alpha with the
    normalization "none", a normalization with an alpha of 0.  Raises `OptionError`.
    """

    beam_size: int = 1
    n_best: int = 1
    normalization: Normalization | None = None
    alpha: Number | None = None
    scores: bool = False
    alignment: AlignmentKind | None = None
    shortlist: bool = False
    max_length: int | None = None
    max_length_factor: Number | None = None
    temperature: Number = 0
    top_k: int = 0
    top_p: Number = 1
    seed: int = 0
    distinct: bool = False
    target_prefix: str = ""

    def __post_init__(self) -> None:
        _require_range("beam_size", self.beam_size, MAX_BEAM)
        _require_range("n_best", self.n_best, MAX_BEAM if self.sampling else self.beam_size)
        _require("normalization", self.normalization, (None, *NORMALIZATIONS))
        _require("alignment", self.alignment, (None, *ALIGNMENTS))
        for name in ("scores", "shortlist", "distinct"):
            _require(name, getattr(self, name), (False, True))
        if not isinstance(self.target_prefix, str):
            raise OptionError(f"target_prefix is {self.target_prefix!r}, not a str")
        if self.sampling and (self.beam_size > 1 or self.shortlist):
            raise OptionError("temperature excludes beam_size and shortlist: it draws, from all")
        if not self.sampling:
            self._check_no_sampling()
        if self.alpha is not None:
            self.check_alpha(hundredths("alpha", self.alpha))
        if self.max_length is not None:
            _require_range("max_length", self.max_length, MAX_LENGTH)
        if self.max_length_factor is not None:
            hundredths("max_length_factor", self.max_length_factor)

    def _check_no_sampling(self) -> None:
        """Refuse what says how tokens are drawn, where none are."""
        top_p = hundredths("top_p", self.top_p)
        says = {"top_k": self.top_k != 0, "top_p": top_p != ALL, "seed": self.seed != 0}
        for name in SAMPLING:
            if says[name]:
                raise OptionError(f"{name} does nothing without temperature")

    def check_alpha(self, alpha: int) -> None:
        """Refuse an exponent, in hundredths, with which the normalisation would do nothing."""
        if self.normalization == "none" and alpha:
            raise OptionError('alpha does nothing with the normalization "none"')
        if self.normalization not in (None, "none") and not alpha:
            told = f'the normalization "{self.normalization}" does nothing with an alpha of 0'
            raise OptionError(f"{told}: give another alpha, such as 1")

    @property
    def rows(self) -> int:
        """Hypotheses of a sentence that are computed at once."""
        return max(self.beam_size, self.n_best)

    @property
    def sampling(self) -> Sampling | None:
        """How tokens are drawn, if they are.  Raises `OptionError`."""
        temperature = hundredths("temperature", self.temperature)
        try:
            found = Sampling(
                temperature or ALL, self.top_k, hundredths("top_p", self.top_p), self.seed
            )
        except (ValueError, TypeError) as error:
            raise OptionError(str(error)) from None
        return found if temperature else None


def normalization_of(options: Options, alpha: int, n_best: int = 1) -> BeamOptions:
    """How hypotheses are compared; `alpha` is the model's own exponent, in hundredths."""
    chosen = alpha if options.alpha is None else hundredths("alpha", options.alpha)
    return BeamOptions(options.rows, n_best, options.normalization or "length", chosen)


def _require_range(name: str, value: int, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise OptionError(f"{name} is {value!r}, not from 1 to {most}")


def _require(name: str, value: object, allowed: Collection[object]) -> None:
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise OptionError(f"{name} is {value!r}, not one of {allowed}")


DEFAULT_OPTIONS = Options()
