"""What a translation is, as users see it: text, tokens, and decimal numbers made of integers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


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
