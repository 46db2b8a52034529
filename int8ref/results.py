"""The results that users get: text, tokens, and decimal numbers that are computed from integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from int8ref.errors import UserError

if TYPE_CHECKING:
    import numpy.typing as npt

    from int8ref.notebook import Cell

ADDED = "\u00b7"
"""Label of a column of a heat map whose token the model adds around the source."""


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
    before   number of columns before the column of the first source token

    The weights come from the last attention of the decoder to the source: from its first head if
    the decoder is recurrent (SSRU), else from the mean of its heads.
    """

    points: tuple[tuple[int, int], ...]
    weights: tuple[tuple[Decimal, ...], ...] | None = None
    before: int = field(default=0, repr=False)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Return the weights as an array [target tokens, columns], for `numpy.asarray`.

        `dtype`: float64 by default.  Other types of NumPy are possible, and `object` keeps the
        decimal numbers.  Raises `UserError` if the alignment has no weights.
        """
        import numpy as np

        if self.weights is None:
            raise UserError('the alignment has no weights: they need Options(alignment="soft")')
        made = np.array(self.weights, np.float64 if dtype is None else dtype)
        return made if self.weights else made.reshape(0, 0)

    def cells(self) -> Iterator[Cell]:
        """Yield the cells of a heat map.  A point has the weight 1 if there are no weights."""
        from int8ref.notebook import Cell

        if self.weights is None:
            yield from (Cell(target, source, Decimal(1)) for source, target in self.points)
        else:
            for row, weights in enumerate(self.weights):
                yield from (Cell(row, column, weight) for column, weight in enumerate(weights))


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
    spans: tuple[Span, ...] = field(default=(), repr=False)
    copied: tuple[Copied, ...] = field(default=(), repr=False)

    def to_dict(self, *, token_scores: bool = True) -> dict[str, Any]:
        """Return the members of the JSON document of `python -m int8ref.translate`.

        Numbers are exact decimal numbers.  `token_scores`: also the scores of the tokens, if there
        are scores.
        """
        members: dict[str, Any] = {"text": self.text, "tokens": self.tokens}
        scores, found = self.scores, self.alignment
        if scores is not None:
            members |= {"score": scores.score, "log_probability": scores.log_probability}
            members |= {"complete": scores.complete}
            members |= {"token_scores": scores.tokens} if token_scores else {}
        if self.unknown:
            members["unknown"] = self.unknown
        if self.copied:
            members["copied"] = self.copied
        if found is not None:
            members["alignment"] = found.points
            members |= {"alignment_weights": found.weights} if found.weights is not None else {}
        return members


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
    source_spans: tuple[Span, ...] = field(default=(), repr=False)

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

    def to_dict(self, *, several: bool | None = None, token_scores: bool = True) -> dict[str, Any]:
        """Return the members of the JSON document of `python -m int8ref.translate`.

        `several`: True: the member `translations` is a list, as with --n-best.  False: the members
        of the first translation stand beside the source.  Default: None, which means a list if
        there are several translations.
        `token_scores`: see `Translation.to_dict`.
        """
        document: dict[str, Any] = {
            "source": self.source,
            "source_tokens": self.source_tokens,
            "truncated": self.truncated,
        }
        if self.unknown:
            document["source_unknown"] = self.unknown
        if several or (several is None and len(self.translations) > 1):
            document["translations"] = [
                one.to_dict(token_scores=token_scores) | ({"repeated": True} if again else {})
                for one, again in zip(self.translations, self.repeated, strict=True)
            ]
            return document
        return document | self.best.to_dict(token_scores=token_scores)

    @property
    def repeated(self) -> list[bool]:
        """For each translation, whether an earlier translation has the same text."""
        texts = [translation.text for translation in self.translations]
        return [text in texts[:place] for place, text in enumerate(texts)]

    def _repr_html_(self) -> str:
        """Return HTML for notebooks."""
        from int8ref import notebook

        scores = [one.scores for one in self.translations]
        rows = (
            (one.text, *((s.score, s.log_probability, "" if s.complete else "cut") if s else ()))
            for one, s in zip(self.translations, scores, strict=True)
        )
        head = ("translation", *(("score", "log P", "") if any(scores) else ()))
        parts = [notebook.note(self.source), notebook.table(head, rows)]
        best, found = self.best, self.alignment
        if best.scores is not None:
            own = len(best.scores.tokens) - best.scores.complete
            parts.append(notebook.tokens(best.tokens, best.scores.tokens[:own]))
        if found is not None:
            parts.append(notebook.heat_map(best.tokens, self._columns(found), found.cells()))
        if self.truncated:
            parts.append(notebook.note("A text was too long for the model, and was cut."))
        if self.unknown:
            lacking = " ".join(text for _, text in self.unknown)
            parts.append(notebook.note(f"The vocabulary lacks: {lacking}"))
        return notebook.section(*parts)

    def _columns(self, found: Alignment) -> list[str]:
        """Return the labels of the columns of an alignment."""
        columns = len(found.weights[0]) if found.weights else len(self.source_tokens)
        after = columns - len(self.source_tokens) - found.before
        return [*[ADDED] * found.before, *self.source_tokens, *[ADDED] * after]


@dataclass(frozen=True)
class LikelyToken:
    """A token that a language model may choose.

    id               its id
    token            its text, as the vocabulary stores it
    logit            its logit: an integer, in the unit of the Program
    log_probability  natural logarithm of its probability, rounded to six decimal places
    """

    id: int
    token: str
    logit: int
    log_probability: Decimal


@dataclass(frozen=True)
class Continuation:
    """A text and its continuation by a language model.

    prompt     the given text
    truncated  True if the prompt was too long, and the model read only its last tokens
    text       the tokens that the model read and the added tokens, as one text
    tokens     the text of each added token
    ids        the id of each added token
    complete   True if the model, or a stop text, ended the text before the limit
    unknown    text of the prompt that the vocabulary lacks.  The places are places in the tokens
               of the whole prompt, from 0.
    logits     SHA-256 of the logits of the added tokens (`search.reading`), in hexadecimal.  None
               without the option logits_digest.
    added      the text of the added tokens alone, as it follows the prompt
    stopped    the stop text that ended the text, or None.  The text ends before it, and the added
               tokens end with the token that completes it.
    scores     the scores of the added tokens, as the search saw them, with adjusted logits.  None
               without the option scores.
    likeliest  for each added token, and for the end mark of a text that the model ended: the most
               likely tokens and their logits, without adjustments.  None without the option
               top_logprobs.
    others     the other continuations of the option n_best: worse ones, or further drawn ones
    """

    prompt: str
    truncated: bool
    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    complete: bool
    unknown: Unknown = ()
    logits: str | None = None
    added: str = ""
    stopped: str | None = None
    scores: Scores | None = None
    likeliest: tuple[tuple[LikelyToken, ...], ...] | None = None
    others: tuple[Continuation, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the members of the JSON document of `python -m int8ref.generate`.

        Numbers are exact decimal numbers.
        """
        document = {"prompt": self.prompt, "truncated": self.truncated} | self._members()
        document |= {"unknown": self.unknown} if self.unknown else {}
        document |= {"others": [one._members() for one in self.others]} if self.others else {}
        return document

    def _members(self) -> dict[str, Any]:
        """Return the members that each of several continuations has."""
        members: dict[str, Any] = {"text": self.text, "tokens": self.tokens}
        members |= {"complete": self.complete}
        if self.stopped is not None:
            members["stopped"] = self.stopped
        if self.scores is not None:
            members |= {"score": self.scores.score}
            members |= {"log_probability": self.scores.log_probability}
        if self.likeliest is not None:
            members["likeliest"] = self.likeliest
        return members

    def _repr_html_(self) -> str:
        """Return HTML for notebooks."""
        from int8ref import notebook

        end = "the model ended the text" if self.complete else "cut at the limit"
        told = notebook.note(f"{self.prompt} \u2026 ({len(self.tokens)} tokens, {end})")
        return notebook.section(told, notebook.table(("text",), [(self.text,)]))
