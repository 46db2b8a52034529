"""Carries text that a model cannot translate from the source to the translation.

Such text is characters that the vocabulary lacks, emoji, tags, placeholders, URLs and e-mail
addresses.  The alignment says where it belongs.  The engine computes the same tokens as
without the copies.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from msgspec import Struct

from int8ref.results import Copied, Span

_PICTURE = "\\u2600-\\u27BF\\u2B50\\u2B55\\U0001F300-\\U0001FAFF"
_IN_URL, _URL_END = r"""[^\s<>"]*""", r"""[^\s<>"'.,;:!?)\]}]"""
PROTECTED = re.compile(
    rf"""
      (?:(?:https?|ftp|file)://|www\.){_IN_URL}{_URL_END}           # URLs
    | mailto:[^\s<>"]+                                              # addresses
    | (?<![\w.+-])[\w.+-]{{1,64}}@[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+
    | </?[A-Za-z][^<>]{{0,1000}}>                                    # tags
    | &(?:\#\w{{1,8}}|[A-Za-z]\w{{1,31}});                           # entities
    | \{{\{{[^{{}}]{{0,200}}\}}\}} | \$?\{{[^{{}}]{{0,200}}\}}           # placeholders
    | \[\[[^\[\]]{{0,200}}\]\] | \$\w+\$ | %%\w+%%
    | %(?:\(\w+\)|\d{{1,9}}\$)?[-+\#0]*\d{{0,9}}(?:\.\d{{1,9}})?l{{0,2}}[sdiufgxXc@](?!\w)
    | [\U0001F1E6-\U0001F1FF]{{2}} | [{_PICTURE}][\uFE0F\u200D{_PICTURE}]*
    """,
    re.VERBOSE,
)
"""Text that stays as it is, besides characters that the vocabulary lacks."""


class Aligned(Struct, frozen=True):
    """A translation whose tokens have places.

    source, text         the source, and its translation
    source_spans, spans  places of the tokens, without the white space around them
    points               pairs of a source token and a token, as in `Alignment`
    unknown              numbers of the source tokens that the vocabulary lacks
    """

    source: str
    text: str
    source_spans: Sequence[Span]
    spans: Sequence[Span]
    points: Sequence[tuple[int, int]]
    unknown: Sequence[int] = ()


def has_copies(source: str, unknown: bool) -> bool:
    """Return whether a source may have text to copy.  `unknown`: it has unknown tokens."""
    return unknown or PROTECTED.search(source) is not None


def copy_unknown(found: Aligned) -> tuple[str, tuple[Span, ...], tuple[Copied, ...]]:
    """Return the text with the copies, the places of the tokens in it, and the copies.

    A copy replaces the tokens that the model wrote for its source.  If the model wrote none, the
    copy goes where it separates the fewest tokens from their side of the source.  A text that the
    model has written itself, as often as it is in the source, stays.
    """
    kept = [span for span in protected(found) if not _written(found, span)]
    edits: list[tuple[Span, str, Span]] = []
    for span in kept:
        place = _replaced(found, span)
        if place is None or any(_overlap(place, other) for other, _, _ in edits):
            cut = cut_place(found.text, links(found), span)
            place = _outside((cut, cut), [other for other, _, _ in edits])
        edits.append((place, _spaced(found, place, span), span))
    return _apply(found, sorted(edits, key=lambda edit: (edit[0], edit[2])))


def protected(found: Aligned) -> list[Span]:
    """Return the places of the text to copy, in order.  Places that touch are one."""
    unknown = [found.source_spans[i] for i in found.unknown]
    spans = [match.span() for match in PROTECTED.finditer(found.source)]
    spans += [span for span in unknown if _is_kept(found.source, *span)]
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            begin, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((begin, end))
    return merged


def _is_kept(source: str, begin: int, end: int) -> bool:
    """Return whether unknown text is kept: text of its own, and no apostrophe within a word."""
    text, around = source[begin:end], (source[:begin][-1:], source[end:][:1])
    within = all(c.isalnum() for c in around) and not any(c.isalnum() for c in text)
    return begin < end and text.isprintable() and not within


def links(found: Aligned) -> list[tuple[Span, Span]]:
    """Return the pairs of the place of a token and the place of its source token."""
    return [(found.spans[t], found.source_spans[s]) for s, t in found.points]


def cut_place(
    text: str, pairs: Sequence[tuple[Span, Span]], span: Span, room: Span | None = None
) -> int:
    """Return the place in a translation that belongs to a place of the source.

    The place separates the fewest tokens from their side: a token counts if it stands before the
    place and its source stands after `span`, or the other way round.  The first of equal places
    is taken.  The place lies within `room`, and splits no word.
    """
    low, high = room or (0, len(text))
    after = sorted(begin for (begin, _), (source, _) in pairs if source < span[0])
    before = sorted(end for (_, end), (source, _) in pairs if source >= max(span[1], span[0] + 1))
    places = {low, high, *(end for (_, end), _ in pairs), *(begin for (begin, _), _ in pairs)}
    best, cost, a, b = low, len(pairs) + 1, 0, 0
    for place in sorted(place for place in places if low <= place <= high):
        while a < len(after) and after[a] < place:
            a += 1
        while b < len(before) and before[b] <= place:
            b += 1
        if (crossed := len(after) - a + b) < cost and not splits_word(text, place):
            best, cost = place, crossed
    return best


def splits_word(text: str, place: int) -> bool:
    """Return whether a place is within a word.  Scripts of wide characters have no word ends."""
    around = text[max(0, place - 1) : place + 1]
    return 0 < place < len(text) and all(
        (c.isalnum() or unicodedata.combining(c) > 0) and unicodedata.east_asian_width(c) != "W"
        for c in around
    )


def _written(found: Aligned, span: Span) -> bool:
    text = found.source[slice(*span)]
    return found.text.count(text) >= found.source.count(text)


def _replaced(found: Aligned, span: Span) -> Span | None:
    """Return the place of the tokens that the model wrote for a text, or None."""
    inside = sorted(t for s, t in found.points if _within(found.source_spans[s], span))
    text = found.source[slice(*span)].casefold()
    best: list[int] = []
    for run in _runs(inside):
        run = _own(found, run, text)
        if not run:
            continue
        begin, end = found.spans[run[0]][0], found.spans[run[-1]][1]
        pieces = [found.text[slice(*found.spans[t])].casefold() for t in run]
        invented = [p for p in pieces if not any(c.isalnum() for c in p) and p not in found.source]
        alike = any(_alike(piece, text) for piece in pieces) or len(invented) == len(run)
        if begin < end and alike and len(run) > len(best):
            best = run
    return (found.spans[best[0]][0], found.spans[best[-1]][1]) if best else None


def _alike(piece: str, text: str) -> bool:
    """Return whether a model wrote a token for a text: a part of it, or with the same bracket."""
    bracket = piece[:1] == text[:1] and not text[:1].isalnum()
    return bool(piece) and (piece in text or bracket)


def _own(found: Aligned, run: list[int], text: str) -> list[int]:
    """Return a run without tokens at its ends that the source has only outside of the text."""

    def other(token: int) -> bool:
        piece = found.text[slice(*found.spans[token])].casefold()
        return piece not in text and piece in found.source.casefold()

    while run and other(run[-1]):
        run = run[:-1]
    while run and other(run[0]):
        run = run[1:]
    return run


def _runs(tokens: Sequence[int]) -> Iterator[list[int]]:
    """Yield the runs of tokens.  One token between two runs belongs to them."""
    run: list[int] = []
    for token in tokens:
        if run and token - run[-1] > 2:
            yield run
            run = []
        run += range(run[-1] + 1 if run else token, token + 1)
    if run:
        yield run


def _within(token: Span, span: Span) -> bool:
    return token[0] < span[1] and (token[1] > span[0] or token[0] == token[1] == span[0])


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _outside(place: Span, taken: Sequence[Span]) -> Span:
    """Return an empty place, moved behind a taken place that surrounds it."""
    for begin, end in sorted(taken):
        if begin < place[0] < end:
            place = (end, end)
    return place


def _spaced(found: Aligned, place: Span, span: Span) -> str:
    """Return a copy with the spaces of the source, where they are missing."""
    copy, source = found.source[slice(*span)], found.source
    left, right = found.text[: place[0]], found.text[place[1] :]
    if source[: span[0]][-1:].isspace() and left and not left[-1].isspace():
        copy = f" {copy}"
    if source[span[1] :][:1].isspace() and right and not right[0].isspace():
        wordlike = right[0].isalnum() or place[0] == 0
        copy += " " if wordlike else ""
    return copy


def _apply(
    found: Aligned, edits: Sequence[tuple[Span, str, Span]]
) -> tuple[str, tuple[Span, ...], tuple[Copied, ...]]:
    """Return the edited text, the places of the tokens in it, and the copies."""
    parts, copies, moves = [], [], []
    done, size = 0, 0
    for (begin, end), copy, span in edits:
        parts += [found.text[done:begin], copy]
        size += begin - done
        moves.append(((begin, end), (size, size + len(copy))))
        lead = len(copy) - len(copy.lstrip()) if not found.source[span[0]].isspace() else 0
        copies.append(((size + lead, size + lead + span[1] - span[0]), span))
        size += len(copy)
        done = end
    text = "".join([*parts, found.text[done:]])
    return (
        text,
        tuple(_moved(span, moves) for span in found.spans),
        tuple(sorted(copies, key=lambda copy: copy[1])),
    )


def _moved(span: Span, moves: Sequence[tuple[Span, Span]]) -> Span:
    """Return the place of a token after the edits."""
    shift = 0
    for old, new in moves:
        if old[0] < old[1] and _overlap(span, old):
            return new
        if old[1] <= span[0]:
            shift = new[1] - old[1]
    return span[0] + shift, span[1] + shift
