"""Translators in a row: each of them translates what the one before it has written."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from int8ref.errors import UserError
from int8ref.options import DEFAULT_OPTIONS, OptionError, Options
from int8ref.results import Alignment, Copied, Languages, Result, Span
from int8ref.translation import expect

if TYPE_CHECKING:
    from int8ref.text.lines import Warn

REFUSED = {
    "n_best": 1,
    "distinct": False,
    "scores": False,
    "target_prefix": "",
    "logits_digest": False,
}
"""Options that have no meaning for several models in a row, and their values that are allowed."""


class Step(Protocol):
    """A translator of a pivot."""

    @property
    def languages(self) -> Languages:
        """The languages of the model."""
        ...

    @property
    def threads_of_a_batch(self) -> int:
        """See `Translator.threads_of_a_batch`."""
        ...

    def fits(self, text: str, options: Options = ...) -> bool:
        """Return whether a text is short enough."""
        ...

    def batches(
        self,
        lines: Iterable[str],
        options: Options = ...,
        warn: Warn | None = None,
        *,
        first: int = ...,
    ) -> Iterator[list[Result]]:
        """Yield lists of results."""
        ...


class Pivot:
    """Translates through one or more languages between, such as pt to en to de.

    The result has the tokens and the unknown text of the first source, and the translation of the
    last model.  An alignment is the composition of the alignments.  The bits are the bits that the
    models give one after the other.  Immutable, as `Translator`.

    steps  the translators, first to last.  Each reads the language that the one before it writes.

    Raises `UserError` for less than two translators, and for languages that do not match.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        if len(self.steps) < 2:
            raise UserError("a pivot needs at least two translators")
        for one, next_one in itertools.pairwise(self.steps):
            written, read = one.languages.target, next_one.languages.source
            if written and read and _base(written) != _base(read):
                raise UserError(f"{one!r} writes {written}, and {next_one!r} reads {read}")

    def __repr__(self) -> str:
        return f"<Pivot {', '.join(map(repr, self.steps))}>"

    @property
    def languages(self) -> Languages:
        """The languages of the sources of the first model, and of the translations of the last."""
        first, last = self.steps[0].languages, self.steps[-1].languages
        return Languages(first.sources, last.targets, first.source, last.target)

    @property
    def threads_of_a_batch(self) -> int:
        """See `Translator.threads_of_a_batch`."""
        return max(step.threads_of_a_batch for step in self.steps)

    def fits(self, text: str, options: Options = DEFAULT_OPTIONS) -> bool:
        """Return whether the first model has room for a text: see `Translator.fits`."""
        return self.steps[0].fits(text, self._options(options)[0])

    def translate(
        self, text: str | Sequence[str], options: Options = DEFAULT_OPTIONS
    ) -> Result | list[Result]:
        """Translate one text, or a list of texts: see `Translator.translate`.

        Raises `OptionError` for the options n_best above 1, distinct, scores, target_prefix,
        logits_digest and the alignment "soft", because they have no meaning across models.
        """
        if isinstance(text, str):
            return next(self.stream([expect.text("text", text)], options))
        return list(self.stream(text, options))

    def stream(self, lines: Iterable[str], options: Options = DEFAULT_OPTIONS) -> Iterator[Result]:
        """Translate each line, in constant memory: see `Translator.stream`."""
        return itertools.chain.from_iterable(self.batches(lines, options))

    def batches(
        self,
        lines: Iterable[str],
        options: Options = DEFAULT_OPTIONS,
        warn: Warn | None = None,
        *,
        first: int = 0,
    ) -> Iterator[list[Result]]:
        """Translate each line, and yield lists of results: see `Translator.batches`."""
        chosen = self._options(options)
        texts = expect.texts("lines", lines)
        found = self.steps[0].batches(texts, chosen[0], warn, first=first)
        for step, own in zip(self.steps[1:], chosen[1:], strict=True):
            found = _then(found, step, own, warn, first)
        return found

    def _options(self, options: Options) -> list[Options]:
        """Return the options of each step.  Raises `OptionError`."""
        expect.instance("options", options, Options)
        for name, allowed in REFUSED.items():
            if getattr(options, name) != allowed:
                raise OptionError(f"{name} has no meaning for several models in a row")
        if options.alignment == "soft":
            raise OptionError('alignment "soft" has no meaning for several models in a row')
        last = len(self.steps) - 1
        return [
            dataclasses.replace(
                options,
                source_language=options.source_language if place == 0 else None,
                target_language=options.target_language if place == last else None,
            )
            for place in range(last + 1)
        ]


def _base(language: str) -> str:
    return language.replace("_", "-").split("-")[0].lower()


def _then(
    found: Iterator[list[Result]], step: Step, options: Options, warn: Warn | None, first: int
) -> Iterator[list[Result]]:
    """Translate the texts of results, and yield the joined results."""
    waiting: deque[Result] = deque()

    def texts() -> Iterator[str]:
        for results in found:
            for result in results:
                waiting.append(result)
                yield result.text

    batches = step.batches(texts(), options, warn, first=first)
    return ([_joined(waiting.popleft(), result) for result in some] for some in batches)


def _joined(first: Result, second: Result) -> Result:
    """Return the result of two models in a row."""
    best = second.best
    if best.alignment is not None:
        points = _composed(first, second)
        best = dataclasses.replace(best, alignment=Alignment(points))
    best = dataclasses.replace(best, copied=_copies(first, second))
    truncated = first.truncated or second.truncated
    spans, unknown = first.source_spans, first.unknown
    return Result(first.source, first.source_tokens, truncated, (best,), unknown, spans)


def _composed(first: Result, second: Result) -> tuple[tuple[int, int], ...]:
    """Return the pairs of a source token and a token, through the tokens between.

    A token between is the token of the first model that has the most characters in common with the
    token of the second model.
    """
    assert first.alignment is not None
    assert second.alignment is not None
    sources = {target: source for source, target in first.alignment.points}
    middle = first.best.spans
    found: dict[int, int] = {}
    pairs = []
    for between, target in second.alignment.points:
        if between not in found and sources:
            span = second.source_spans[between]
            found[between] = max(sources, key=lambda own: (_common(middle[own], span), -own))
        if sources:
            pairs.append((sources[found[between]], target))
    return tuple(pairs)


def _common(one: Span, other: Span) -> int:
    """Return how much two places have in common: characters, or minus their distance."""
    return min(one[1], other[1]) - max(one[0], other[0])


def _copies(first: Result, second: Result) -> tuple[Copied, ...]:
    """Return the texts that were copied from the first source to the last translation."""
    places = dict(first.best.copied)
    found = []
    for place, (begin, end) in second.best.copied:
        text = second.source[begin:end]
        if (begin, end) in places:
            found.append((place, places[begin, end]))
        elif (start := first.source.find(text)) >= 0:
            found.append((place, (start, start + len(text))))
    return tuple(found)
