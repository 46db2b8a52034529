"""Finds the texts among the tokens of HTML or XML, by rules that are data."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import msgspec

from int8ref.documents.errors import DocumentError
from int8ref.documents.inline import MAX_DEPTH, MAX_MARKS, Item, Mark, Segment, visible
from int8ref.documents.markup import Token

NOTHING = frozenset[str]()
NOTE_TOKENS = 8
"""Largest number of tokens of the mark of a note."""


class Rules(msgspec.Struct, frozen=True):
    """What the elements of a format mean.  Other elements end a text.

    inline    elements within a text
    opaque    elements whose content stays as it is, and elements without content
    nested    elements within a text that contain texts of their own
    breaks    elements that end a line of a text
    texts     elements that contain text, or empty if all do.  Their tags are not kept.
    blocks    elements outside of which nothing is text, or empty
    notes     elements that are the mark of a note if they have no letters, as are all elements
              that say `noteref` (EPUB)
    collapse  white space is one space
    read      returns the text that the file means, such as a character for an entity
    escape    returns the form of a text in the file
    arrange   returns the items of a text in the order that the format wants, and the `base` of the
              text: see `Mark.base`
    run       the element that `base` begins
    empty     a mark that contained text may become empty
    """

    inline: frozenset[str]
    opaque: frozenset[str] = NOTHING
    nested: frozenset[str] = NOTHING
    breaks: frozenset[str] = NOTHING
    texts: frozenset[str] = NOTHING
    blocks: frozenset[str] = NOTHING
    notes: frozenset[str] = NOTHING
    collapse: bool = True
    read: Callable[[str], str] = html.unescape
    escape: Callable[[str], str] = partial(html.escape, quote=False)
    arrange: Callable[[list[Item]], tuple[list[Item], str]] = lambda items: (items, "")
    run: str = ""
    empty: bool = True


class Piece(msgspec.Struct, frozen=True):
    """A part of a text: text, an element without text, or a tag."""

    token: Token
    mark: Mark | None = None


def document(tokens: Sequence[Token], rules: Rules) -> list[str | Segment]:
    """Return the segments of a file, and what stands between them."""
    return list(_document(tokens, closes_of(tokens), 0, len(tokens), rules, 0))


def closes_of(tokens: Sequence[Token]) -> dict[int, int]:
    """Return the places of the tags that end the elements, by the places where they begin."""
    opened: dict[str, list[int]] = {}
    closes = {}
    for place, token in enumerate(tokens):
        if token.kind == "open":
            opened.setdefault(token.name, []).append(place)
        elif token.kind == "close" and opened.get(token.name):
            closes[opened[token.name].pop()] = place
    return closes


def _document(
    tokens: Sequence[Token], closes: dict[int, int], place: int, end: int, rules: Rules, depth: int
) -> Iterator[str | Segment]:
    if depth > MAX_DEPTH:
        raise DocumentError(f"elements are nested more than {MAX_DEPTH} deep")
    run: list[Piece] = []
    within = 0 if rules.blocks else 1
    while place < end:
        token, stop = tokens[place], place + 1
        if token.name in rules.texts:
            stop = min(closes.get(place, place), end - 1) + 1
            text = "".join(t.raw for t in tokens[place:stop] if t.kind == "text")
            run.append(Piece(Token("text", "".join(t.raw for t in tokens[place:stop]), text)))
        elif token.name in rules.breaks and token.kind != "close":
            stop = min(closes.get(place, place), end - 1) + 1
            run.append(Piece(Token("break", "", "".join(t.raw for t in tokens[place:stop]))))
        elif token.kind == "text":
            if not rules.texts:
                run.append(Piece(token))
            elif not run:
                yield token.raw
        elif token.name in rules.nested and token.kind in ("open", "empty"):
            stop = min(closes.get(place, place), end - 1) + 1
            inner = _document(tokens, closes, place + 1, stop, rules, depth + 1)
            run.append(Piece(token, Mark([token.raw, *inner])))
        elif (
            token.name in rules.opaque
            or token.untranslated
            or token.kind == "other"
            or (_may_be_note(token, rules) and _is_note(tokens[place : closes.get(place, place)]))
        ):
            stop = min(closes.get(place, place), end - 1) + 1
            run.append(Piece(token, Mark(["".join(t.raw for t in tokens[place:stop])])))
        elif token.name in rules.inline:
            run.append(Piece(token))
        else:
            yield from flushed(run, rules, within > 0)
            run = []
            within += (token.name in rules.blocks) * {"open": 1, "close": -1}.get(token.kind, 0)
            yield token.raw
        place = stop
    yield from flushed(run, rules, within > 0)


def _may_be_note(token: Token, rules: Rules) -> bool:
    return bool(rules.notes) and (token.name in rules.notes or "noteref" in token.raw)


def _is_note(tokens: Sequence[Token]) -> bool:
    """Return whether an element is the mark of a note, such as a raised number."""
    text = "".join(token.raw for token in tokens if token.kind == "text")
    return 0 < len(tokens) <= NOTE_TOKENS and not any(character.isalpha() for character in text)


def flushed(run: list[Piece], rules: Rules, wanted: bool) -> Iterator[str | Segment]:
    """Yield a text, and what stands before and after it."""
    low, high = 0, len(run)
    matched = _matched(run)
    while low < high and _outside(run[low], low in matched):
        low += 1
    while high > low and _outside(run[high - 1], high - 1 in matched):
        high -= 1
    text = "".join(p.token.raw for p in run if p.token.kind == "text" and p.mark is None)
    if not wanted or not any(c.isalpha() for c in rules.read(text)):
        low = high = len(run)
    yield from _raw(run[:low], rules)
    if low < high:
        yield _segment(run[low:high], rules)
    yield from _raw(run[high:], rules)


def _outside(piece: Piece, matched: bool) -> bool:
    """Return whether a piece at an end of a text does not belong to the text."""
    if piece.mark is not None or piece.token.kind == "break":
        return True
    return not piece.token.raw.strip() if piece.token.kind == "text" else not matched


def _matched(run: Sequence[Piece]) -> set[int]:
    """Return the places of the tags that have their partner in the run."""
    stack: list[int] = []
    found: set[int] = set()
    for place, piece in enumerate(run):
        if piece.mark is None and piece.token.kind == "open":
            stack.append(place)
        elif piece.mark is None and piece.token.kind == "close":
            partner = stack and run[stack[-1]].token.name == piece.token.name
            found |= {stack.pop(), place} if partner else set()
    return found


def _raw(run: Sequence[Piece], rules: Rules) -> Iterator[str | Segment]:
    for piece in run:
        if piece.mark is not None:
            yield from piece.mark.open
        else:
            yield (
                piece.token.name if piece.token.kind == "text" and rules.texts else piece.token.raw
            )


def _wrapped(raw: str, rules: Rules) -> str:
    """Return escaped text with the tags of the element that contains text."""
    if not rules.texts:
        return raw
    name = next(iter(rules.texts))
    return f'<{name} xml:space="preserve">{raw}</{name}>' if raw else ""


def _segment(run: Sequence[Piece], rules: Rules) -> Segment:
    if sum(piece.token.kind != "text" for piece in run) > 2 * MAX_MARKS:
        raise DocumentError(f"a paragraph has more than {MAX_MARKS} elements")
    matched = _matched(run)
    root = Mark([])
    stack = [root]
    breaks: list[str] = []
    for place, piece in enumerate(run):
        children = stack[-1].children
        token = piece.token
        if piece.mark is not None:
            children.append(piece.mark)
        elif token.kind == "text":
            text = rules.read(token.raw).replace("\n", " ").replace("\r", " ")
            _add(children, re.sub(r"[ \t]+", " ", text) if rules.collapse else text)
        elif token.kind == "break":
            breaks.append(token.raw)
            _add(children, "\n")
        elif place in matched and token.kind == "open":
            if len(stack) > MAX_DEPTH:
                raise DocumentError(f"elements are nested more than {MAX_DEPTH} deep")
            children.append(Mark([token.raw]))
            stack.append(children[-1])  # type: ignore[arg-type]
        elif place in matched:
            stack.pop().close = token.raw
        else:
            children.append(Mark([token.raw]))
    items, base = rules.arrange([_whole(item) for item in root.children if item != ""])
    return Segment(items, lambda items: _written(items, rules, base, iter(breaks)))


def _add(children: list[Item], text: str) -> None:
    """Add text, joined with text before it."""
    if children and isinstance(children[-1], str):
        text = children.pop() + text  # type: ignore[operator]
    children.append(text)


def _whole(item: Item) -> Item:
    """Return a mark without text as one that has no children: its children keep their order."""
    if isinstance(item, str):
        return item
    children = [_whole(child) for child in item.children]
    marks = [child for child in children if isinstance(child, Mark)]
    if marks and not visible(children):
        inner = [part for mark in marks for part in (*mark.open, mark.close)]
        return Mark([*item.open, *inner, item.close])
    return Mark(item.open, item.close, children, item.gap, item.base)


def _written(items: Sequence[Item], rules: Rules, base: str, breaks: Iterator[str]) -> str:
    """Return items as they are in the file.  `base`: what stands before text, if it is in runs."""
    parts: list[str] = []
    for item in items:
        if isinstance(item, str):
            lines = rules.escape(item).split("\n")
            text = _wrapped(lines[0], rules)
            for line in lines[1:]:
                text += next(breaks, "") + _wrapped(line, rules)
            parts.append(f"{base}{text}</{rules.run}>" if base else text)
        else:
            opened = (o if isinstance(o, str) else o.write(o.items) for o in item.open)
            inner = _written(item.children, rules, item.base, breaks)
            if inner or rules.empty or not item.close:
                parts += [*opened, inner, item.close]
    return "".join(parts)
