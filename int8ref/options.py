"""The options of a translation.  Threads and batch sizes are in `Speed`, and change no result."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, DefaultContext, localcontext
from typing import TYPE_CHECKING, Literal, get_args

from int8ref.errors import UserError
from int8ref.spec.limits import ALL, MAX_ALPHA, MAX_BEAM, MAX_TEMPERATURE, Normalization

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.search.hypothesis import BeamOptions, Sampling

AlignmentKind = Literal["hard", "soft"]
Number = Decimal | int | float | str
"""A decimal number.  The engine reads a float as Python prints it: 0.6 means six tenths."""

NORMALIZATIONS = get_args(Normalization)
ALIGNMENTS = get_args(AlignmentKind)
MAX_LENGTH = 1024
"""Largest `max_length`.  A model with fewer positions stops earlier."""
RANGES = {
    "alpha": (0, MAX_ALPHA),
    "max_length_factor": (1, 10_000),
    "temperature": (0, MAX_TEMPERATURE),
    "top_p": (1, ALL),
}
"""Lowest and highest value of each decimal option, in hundredths."""


SAMPLING = ("top_k", "top_p", "seed")
"""Options that only sampling uses."""
NO_SAMPLING = (0, 0, 1, 0)
"""Defaults of the temperature and of `SAMPLING`."""


class OptionError(UserError, ValueError):
    """An option is invalid.  The message says which option and why."""


def hundredths(name: str, value: Number) -> int:
    """Return 100 times the decimal number `value` of the option `name`.

    Raises `OptionError` if `value` is out of range or is not a multiple of 0.01.
    """
    low, high = RANGES[name]
    with contextlib.suppress(ArithmeticError), localcontext(DefaultContext):
        number = Decimal(str(value)).scaleb(2)
        if low <= number <= high and number == int(number):
            return int(number)
    lowest, highest = Decimal(low) / 100, Decimal(high) / 100
    raise OptionError(f"{name} is {value!r}, not a number from {lowest} to {highest}, by 0.01")


@dataclass(frozen=True)
class Options:
    """How the engine searches for translations, and which data a result holds.

    A decimal option is a `Decimal`, an int, a float or a str.  It is a multiple of 0.01.

    beam_size          Keep N hypotheses in each step of the search: 1 to 64.  1 is greedy search.
                       Default: 1.
    n_best             Return at most N translations of each sentence: 1 to beam_size.  With a
                       temperature, draw N translations: 1 to 64.  Default: 1.
    distinct           Return only the best of the translations that have the same text.  There are
                       fewer than n_best translations if the search or the drawing finds fewer
                       texts.  Default: False.
    normalization      Formula that makes the log-probabilities of long and short translations
                       comparable: "length", "gnmt" or "none".  `Scores` has the formulas.  None
                       means "length".  Default: None.
    alpha              Exponent of the length in the normalisation: a decimal number from 0 to 10.
                       0 means no normalisation.  None means the exponent of the model.
                       Default: None.
    scores             Return the scores of each translation.  Default: False.
    alignment          Return the alignment of each translation.  "hard": one source token for each
                       target token.  "soft": also the weights.  None: no alignment.
                       Default: None.
    shortlist          Consider only the target tokens that the model's lexical shortlist has for
                       the sentence.  This is faster and costs a little quality.  Default: False.
    max_length         Largest number of tokens of a translation: 1 to 1024.  None means no such
                       limit.  Default: None.
    max_length_factor  Largest number of tokens of a translation, as a multiple of the number of
                       source tokens: a decimal number from 0.01 to 100.  None means the factor of
                       the model.  The smaller limit applies, and at least one token is allowed.
                       Default: None.
    temperature        Divide the logits by this decimal number from 0.01 to 100, and draw each
                       token by its probability.  The n_best translations stay in the order of
                       drawing.  0 means a search instead of drawing.  Default: 0.
    top_k              Draw only from the N most likely tokens: 0 to 2^31.  Tokens as likely as
                       token N also take part.  0 means all.  Default: 0.
    top_p              Draw only from the smallest set of most likely tokens whose probabilities
                       sum to at least this decimal number: 0.01 to 1.  Tokens as likely as the
                       last token of the set also take part.  top_k applies before top_p.  1 means
                       all.  Default: 1.
    seed               Seed of the random numbers: 0 to 2^63 - 1.  The seed and the place of a
                       sentence in the list determine the random numbers of the sentence.
                       Default: 0.
    target_prefix      Text with which every translation begins.  max_length and max_length_factor
                       count its tokens.  Scores do not count its tokens: a score is the
                       log-probability of the following tokens, given the prefix.  Default: "".
    logits_digest      Return the SHA-256 of the logits of each translation.  This reads each
                       translation a second time.  Default: False.
    source_language    Language of the sources, for a model of many languages: a code of
                       `Translator.languages`.  None means the default of the model.  Default: None.
    target_language    Language of the translations, likewise.  Default: None.

    Raises `OptionError` for a value out of range.  Also raises it for these combinations, because
    one of the options would have no effect:

        temperature with beam_size above 1, or with shortlist: sampling draws from all tokens
        top_k, top_p or seed without a temperature
        alpha above 0 with the normalization "none"
        normalization "length" or "gnmt" with an alpha of 0

    Sources: Wu et al. 2016 (normalisation), Fan et al. 2018 (top_k), Holtzman et al. 2020 (top_p).
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
    source_language: str | None = None
    target_language: str | None = None
    logits_digest: bool = False

    def __post_init__(self) -> None:
        _require_range("beam_size", self.beam_size, MAX_BEAM)
        _require_range("n_best", self.n_best, MAX_BEAM if self.sampling else self.beam_size)
        _require("normalization", self.normalization, (None, *NORMALIZATIONS))
        _require("alignment", self.alignment, (None, *ALIGNMENTS))
        for name in ("scores", "shortlist", "distinct", "logits_digest"):
            _require(name, getattr(self, name), (False, True))
        if not isinstance(self.target_prefix, str):
            raise OptionError(f"target_prefix is {self.target_prefix!r}, not a str")
        for name in ("source_language", "target_language"):
            if not isinstance(getattr(self, name), str | None):
                raise OptionError(f"{name} is {getattr(self, name)!r}, not a str")
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
        """Raise `OptionError` if an option of sampling is set without a temperature."""
        top_p = hundredths("top_p", self.top_p)
        says = {"top_k": self.top_k != 0, "top_p": top_p != ALL, "seed": self.seed != 0}
        for name in SAMPLING:
            if says[name]:
                raise OptionError(f"{name} does nothing without temperature")

    def check_alpha(self, alpha: int) -> None:
        """Raise `OptionError` if the normalisation has no effect with `alpha`, in hundredths."""
        if self.normalization == "none" and alpha:
            raise OptionError('alpha does nothing with the normalization "none"')
        if self.normalization not in (None, "none") and not alpha:
            told = f'the normalization "{self.normalization}" does nothing with an alpha of 0'
            raise OptionError(f"{told}: give another alpha, such as 1")

    @property
    def rows(self) -> int:
        """Number of hypotheses of a sentence that the engine computes at once."""
        return max(self.beam_size, self.n_best)

    @property
    def sampling(self) -> Sampling | None:
        """The options of sampling, or None without a temperature.  Raises `OptionError`."""
        given = (self.temperature, self.top_k, self.top_p, self.seed)
        if all(type(number) is int for number in given) and given == NO_SAMPLING:
            return None
        from int8ref.search.hypothesis import Sampling

        temperature = hundredths("temperature", self.temperature)
        try:
            found = Sampling(
                temperature or ALL, self.top_k, hundredths("top_p", self.top_p), self.seed
            )
        except (ValueError, TypeError) as error:
            raise OptionError(str(error)) from None
        return found if temperature else None


def normalization_of(options: Options, alpha: int, n_best: int = 1) -> BeamOptions:
    """Return the options of the beam search.  `alpha`: the exponent of the model, in hundredths."""
    from int8ref.search.hypothesis import BeamOptions

    chosen = alpha if options.alpha is None else hundredths("alpha", options.alpha)
    return BeamOptions(options.rows, n_best, options.normalization or "length", chosen)


def _require_range(name: str, value: int, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise OptionError(f"{name} is {value!r}, not from 1 to {most}")


def _require(name: str, value: object, allowed: Collection[object]) -> None:
    if not any(type(value) is type(one) and value == one for one in allowed):
        raise OptionError(f"{name} is {value!r}, not one of {allowed}")


DEFAULT_OPTIONS = Options()
