"""The results that users get: text, tokens, and decimal numbers that are computed from integers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Scores:
    """Natural logarithms of probabilities: at most 0, rounded to six decimal places.

    tokens           log P(token | source, tokens before it), one number for each token.  The last
                     number belongs to the end of the sentence.  A translation that stopped at its
                     limit has no number for the end.  The tokens of a target prefix have no number.
    log_probability  sum of the unrounded numbers: log P(translation | source)
    score            log_probability, normalised by the number n of the numbers in the sum.
                     Translations are ranked by score.  The option `normalization` selects:

                         length  log_probability / n^alpha
                         gnmt    log_probability / ((5 + n) / 6)^alpha   (Wu et al. 2016, Eq. 14)
                         none    log_probability

    complete         True if the translation reached the end of the sentence before its limit

    A language model has no source: P(token | tokens before it).
    """

    tokens: tuple[Decimal, ...]
    log_probability: Decimal
    score: Decimal
    complete: bool


@dataclass(frozen=True)
class Languages:
    """Codes of the languages of a model.

    sources  languages that a run may choose for its sources; empty if it chooses none
    targets  languages that a run may choose for its translations; empty if it chooses none
    source   default language of the sources, or None if a run has to choose it
    target   default language of the translations, or None if a run has to choose it

    A model of one pair of languages lets a run choose none: `source` and `target` are its pair.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    source: str | None
    target: str | None


@dataclass(frozen=True)
class Alignment:
    """Pairs of aligned tokens, from the attention of the decoder to the source.

    points   one pair (source token, target token) for each target token, both counted from 0.  The
             pair names the source token with the largest weight, the first of equal weights.
             Only the tokens of the source text take part.
    weights  one row for each target token, and one column for each source token.  The columns
             include the tokens that the program puts before and after the source
             (`Program.frame`; for most models the end of the sentence, after the source).
             Each weight is from 0 to 1, rounded to six decimal places.  A row sums to about 1.
             None without the option alignment="soft".

    The weights come from the last attention of the decoder to the source: from its first head if
    the decoder is recurrent (SSRU), else from the mean of its heads.
    """

    points: tuple[tuple[int, int], ...]
    weights: tuple[tuple[Decimal, ...], ...] | None = None


Unknown = tuple[tuple[int, str], ...]
"""Text that the vocabulary lacks, such as emoji: pairs of a place and a text.

The place, counted from 0, is the place of the token <unk> that replaces the text.  The model knows
that some text was there, but not which text.
"""


Span = tuple[int, int]
"""A part of a text: the places of its first character and after its last, counted from 0."""
Copied = tuple[Span, Span]
"""A copied text: its place in the translation, and its place in the source."""


@dataclass(frozen=True)
class Translation:
    """One translation of a sentence.

    text       the translation as one line of text
    tokens     the text of each token, with a target prefix and without the end of the sentence
    ids        the id of each token
    scores     None without the option scores; `Translator.score` always returns scores
    alignment  None without the option alignment
    unknown    text that the vocabulary lacks: of a translation that is scored, or of the target
               prefix.  The places are places in tokens.
    logits     SHA-256 of the logits of the tokens after a target prefix (`search.reading`), in
               hexadecimal.  None without the option logits_digest.
    spans      place of each token in text, without the white space around the token.  The place of
               tokens that a copied text replaces is the place of the copied text.  Empty without
               an alignment.
    copied     texts that the option copy_unknown carried over, in the order of the source.  tokens
               and ids stay the tokens of the model.
    """

    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    scores: Scores | None = None
    alignment: Alignment | None = None
    unknown: Unknown = ()
    logits: str | None = None
    spans: tuple[Span, ...] = ()
    copied: tuple[Copied, ...] = ()


@dataclass(frozen=True)
class Result:
    """A sentence and its translations.

    source         the text of the sentence
    source_tokens  the tokens of the sentence that the model read
    truncated      True if a text was too long and was cut: the source, a translation that is
                   scored, or the target prefix
    translations   the complete translations first, then the cut ones, both in the order of falling
                   scores.  With a temperature, the order of drawing.
    unknown        text of the source that the vocabulary lacks.  The places are places in
                   source_tokens.
    source_spans   place of each token in source, without the white space around the token.  Empty
                   without an alignment.
    """

    source: str
    source_tokens: tuple[str, ...]
    truncated: bool
    translations: tuple[Translation, ...]
    unknown: Unknown = ()
    source_spans: tuple[Span, ...] = ()

    @property
    def best(self) -> Translation:
        """The first translation."""
        return self.translations[0]

    @property
    def text(self) -> str:
        """The text of the first translation."""
        return self.best.text

    @property
    def tokens(self) -> tuple[str, ...]:
        """The tokens of the first translation."""
        return self.best.tokens

    @property
    def score(self) -> Decimal | None:
        """The normalised score of the first translation, or None without the option scores."""
        return self.best.scores.score if self.best.scores else None

    @property
    def alignment(self) -> Alignment | None:
        """The alignment of the first translation, or None without the option alignment."""
        return self.best.alignment
