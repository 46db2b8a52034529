"""What a translation is, as users see it: text, tokens, and decimal numbers made of integers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext


@dataclass(frozen=True)
class Scores:
    """Natural logarithms of probabilities, never positive, with six decimal places.

    tokens           log P(token | source, tokens before it), a number a token; the last is that of
                     the end of the sentence, unless the translation stopped at its limit.  Tokens
                     of the text that the translation was told to begin with have no number
    log_probability  their sum: log P(translation | source)
    score            the sum, normalised: what translations are ranked by.  With n numbers in the
                     sum it is

                         length  log_probability / n^alpha
                         gnmt    log_probability / ((5 + n) / 6)^alpha   (Wu et al. 2016, Eq. 14)
                         none    log_probability

    complete         whether the end of the sentence was reached before the limit
    """

    tokens: tuple[Decimal, ...]
    log_probability: Decimal
    score: Decimal
    complete: bool


@dataclass(frozen=True)
class Alignment:
    """Which source token each target token looks at, from the attention of the decoder.

    points   (source token, target token), a pair a target token: where the weight is largest, the
             first of equal ones; only tokens of the text are considered
    weights  a row a target token, a column a source token with what the program puts around the
             source (`Program.frame`; for most the end of the sentence, after it), with six decimal
             places; None unless soft alignment was asked for
    """

    points: tuple[tuple[int, int], ...]
    weights: tuple[tuple[Decimal, ...], ...] | None = None


Unknown = tuple[tuple[int, str], ...]
"""Text that the vocabulary lacks, such as emoji: the place of the token that stands for it, from 0,
and the text.  The model knows that there was something, not what."""


@dataclass(frozen=True)
class Translation:
    """One translation of a sentence; `scores` and `alignment` where they were asked for.

    unknown  what the vocabulary lacks of a given text: of the translation that was given to be
             scored, or of the text that the translation begins with; by places in tokens
    """

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    scores: Scores | None = None
    alignment: Alignment | None = None
    unknown: Unknown = ()


@dataclass(frozen=True)
class Result:
    """A sentence and its translations, best first.

    source         the text
    source_tokens  its tokens, as far as they were used
    truncated      whether a text had to be cut: the source, a translation given to be scored, or
                   the text that the translation begins with
    unknown        what the vocabulary lacks of the source, by places in source_tokens
    """

    source: str
    source_tokens: tuple[str, ...]
    truncated: bool
    translations: tuple[Translation, ...]
    unknown: Unknown = ()

    @property
    def best(self) -> Translation:
        """The best translation."""
        return self.translations[0]

    @property
    def text(self) -> str:
        """Text of the best translation."""
        return self.best.text

    @property
    def tokens(self) -> tuple[str, ...]:
        """Tokens of the best translation."""
        return self.best.tokens

    @property
    def score(self) -> Decimal | None:
        """Normalised score of the best translation, where scores were asked for."""
        return self.best.scores.score if self.best.scores else None

    @property
    def alignment(self) -> Alignment | None:
        """Alignment of the best translation, where it was asked for."""
        return self.best.alignment


@dataclass(frozen=True)
class Continuation:
    """A text and how a language model continued it.

    prompt     the text
    truncated  whether only its last tokens were read, because it left no position
    text       all of it, with what was added
    tokens     the tokens that were added
    ids        their ids
    complete   whether the end of the text was reached before the limit
    unknown    what the vocabulary lacks of the prompt, by places in its tokens
    """

    prompt: str
    truncated: bool
    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    complete: bool
    unknown: Unknown = ()


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts a text of n words, or n tokens: 2^(-L / n).

    words   white-space tokens, the end of a line counted as one
    tokens  tokens of the model, the end of a line counted as one
    log2    L, the sum of the log2-probabilities of the tokens, in units of 2^-20
            (`arithmetic.LOG_BITS`), at most 0
    """

    words: int
    tokens: int
    log2: int

    @property
    def of_words(self) -> Decimal:
        """2^(-L / words), rounded to six decimal places."""
        return _power_of_two(-self.log2, self.words)

    @property
    def of_tokens(self) -> Decimal:
        """2^(-L / tokens), rounded to six decimal places."""
        return _power_of_two(-self.log2, self.tokens)


DIGITS = 6
PRECISION = 40
"""Decimal digits of the one conversion, besides those that a large number needs."""


def _power_of_two(log2: int, count: int) -> Decimal:
    """2^(log2 * 2^-20 / count), rounded to six decimal places."""
    from int8ref.spec.arithmetic import LOG_BITS

    whole = (log2 >> LOG_BITS) // count // 3  # at least as many digits as it has before the point
    with localcontext(prec=PRECISION + whole):
        power = Decimal(2) ** (Decimal(log2) / (count << LOG_BITS))
        return power.quantize(Decimal(1).scaleb(-DIGITS))
