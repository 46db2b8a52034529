"""Places of tokens in texts, and the copies that need them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import accumulate

from int8ref.options import AlignmentKind, Options
from int8ref.results import Copied, Result, Span, Translation
from int8ref.translation.copying import Aligned, copy_unknown, has_copies

Decode = Callable[[Sequence[int]], str]
"""Returns the text of tokens."""


def aligned_for(source: str, unknown: bool, options: Options) -> AlignmentKind | None:
    """Return the alignment that a sentence needs.  Copies need one too.

    `unknown`: the vocabulary lacks text of the source.
    """
    if options.alignment is None and options.copy_unknown and has_copies(source, unknown):
        return "hard"
    return options.alignment


def placed(result: Result, decode: Decode, options: Options, copies: bool = True) -> Result:
    """Return a result whose aligned translations have places of their tokens, and copies.

    `copies`: the translations may have copies.
    """
    if not result.source_spans:
        return result
    wanted = copies and options.copy_unknown
    translations = [_placed(result, t, decode, wanted) for t in result.translations]
    if options.alignment is None:
        translations = [dataclasses.replace(t, alignment=None) for t in translations]
    return dataclasses.replace(result, translations=tuple(translations))


def _placed(result: Result, translation: Translation, decode: Decode, copies: bool) -> Translation:
    if translation.alignment is None:
        return translation
    text, copied = translation.text, tuple[Copied, ...]()
    spans = trimmed(text, spans_of(text, translation.ids, decode))
    if copies:
        unknown = [place for place, _ in result.unknown]
        points = translation.alignment.points
        found = Aligned(result.source, text, result.source_spans, spans, points, unknown)
        text, spans, copied = copy_unknown(found)
    return dataclasses.replace(translation, text=text, spans=spans, copied=copied)


def trimmed(text: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return the places without the white space around them.  White space alone is empty."""
    found = []
    for begin, end in spans:
        while begin < end and text[begin].isspace():
            begin += 1
        while begin < end and text[end - 1].isspace():
            end -= 1
        found.append((begin, end))
    return tuple(found)


def spans_of(text: str, ids: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[Span]:
    """Return the place of each token in the text of all tokens.

    A token ends where the text of the tokens up to it stops to agree with the whole text.
    """
    ends = [_common(text, decode(ids[: count + 1])) for count in range(len(ids))]
    ends = list(accumulate(ends, max))
    return list(zip([0, *ends], ends, strict=False))


def _common(one: str, other: str) -> int:
    """Return the length of the common beginning of two texts."""
    if one.startswith(other):
        return len(other)
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
