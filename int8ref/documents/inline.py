"""Text with inline marks: the part of a document that is translated at once.

A mark is an element, such as a bold word, a link or a footnote.  It has children: text and marks.
All formats use the same marks.  `placed` puts the marks into a translation.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import msgspec

from int8ref.documents.errors import DocumentError
from int8ref.results import Span
from int8ref.translation.copying import cut_place, splits_word

MAX_DEPTH = 200
"""Largest number of marks within each other."""
MAX_MARKS = 4000
"""Largest number of marks of a text."""

Link = tuple[Span, Span]
"""The place of a token in a translation, and the place of its source."""


class Mark(msgspec.Struct, eq=False):
    """An element within a text.

    open, close  what stands before and after the children in the file.  A document in the middle
                 of a text, such as a footnote, has segments of its own.
    children     text and marks; none for an element without text, such as an image
    gap          the element separates words, as a space does.  It has no children.
    base         what stands before text that is a child itself, in formats of runs
    """

    open: list[str | Segment]
    close: str = ""
    children: list[Item] = msgspec.field(default_factory=list)
    gap: bool = False
    base: str = ""


Item = str | Mark


class Segment(msgspec.Struct, eq=False):
    """A text to translate, such as a paragraph.

    items   text and marks.  A line feed in the text separates lines that belong together.
    write   returns the form that the items have in the file
    """

    items: list[Item]
    write: Callable[[list[Item]], str]


class Sentences(msgspec.Struct, frozen=True):
    """The sentences of a translated text.

    text    the translation
    begins  where each sentence begins: in the source and in the translation
    links   the links of each sentence
    """

    text: str
    begins: list[tuple[int, int]]
    links: list[list[Link]]

    def near(self, span: Span) -> tuple[Span, list[Link]]:
        """Return the part of the translation for a part of the source, with its links."""
        first = max(0, bisect_right(self.begins, (span[0], len(self.text) + 1)) - 1)
        last = max(
            first + 1, bisect_right(self.begins, (max(span[0], span[1] - 1), len(self.text) + 1))
        )
        end = self.begins[last][1] if last < len(self.begins) else len(self.text)
        begin = self.begins[first][1] if first else 0
        return (begin, end), [link for some in self.links[first:last] for link in some]


def visible(items: Sequence[Item]) -> str:
    """Return the text of items."""
    parts: list[str] = []
    waiting = [iter(items)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, str):
                parts.append(item)
            else:
                parts.append(" " if item.gap else "")
                waiting.append(iter(item.children))
                break
        else:
            waiting.pop()
    return "".join(parts)


def has_marks(items: Sequence[Item]) -> bool:
    """Return whether there is a mark that does not surround the whole text."""
    while len(items) == 1 and isinstance(items[0], Mark):
        items = items[0].children
    return any(isinstance(item, Mark) for item in items)


def placed(items: Sequence[Item], found: Sentences) -> list[Item]:
    """Return the items of a translation: its text, with each mark once."""
    return _placed(items, 0, (0, len(found.text)), found, 0)


def _placed(
    items: Sequence[Item], begin: int, room: Span, found: Sentences, depth: int
) -> list[Item]:
    """Place the marks among `items` in a part of the translation.

    `begin`: where the items begin in the source.
    """
    if depth > MAX_DEPTH:
        raise DocumentError(f"elements are nested more than {MAX_DEPTH} deep")
    source = visible(items)
    core = range(len(source) - len(source.lstrip()), len(source.rstrip()))
    taken: list[tuple[Span, int, Mark, int]] = []
    for order, (place, size, mark) in enumerate(_marks(items)):
        own = (begin + place, begin + place + size)
        if not size or mark.gap:
            before, after = _around(source, place)
            left = before.isspace() and not after.isspace()
            cut = _cut(own, room, taken, found, moved=left and not mark.gap)
            taken.append((cut, order, mark, own[0]))
        elif place <= core.start and place + size >= core.stop:
            taken.append((_stripped(found.text, room), order, mark, own[0]))
        else:
            taken.append((_interval(own, room, taken, found), order, mark, own[0]))
    out: list[Item] = []
    done = room[0]
    for span, _, mark, start in sorted(taken, key=lambda one: (one[0], one[1])):
        span = min(max(span[0], done), room[1]), min(max(span[1], done), room[1])  # in this order
        out.append(found.text[done : span[0]])
        empty = span[0] == span[1] and not mark.gap
        before, after = _around(source, start - begin)
        if empty and before.isspace() and not _around(found.text, span[0])[0].isspace():
            out.append(" " if span[0] > room[0] else "")
        children = _placed(mark.children, start, span, found, depth + 1) if not mark.gap else []
        out.append(Mark(mark.open, mark.close, children, mark.gap, mark.base))
        if empty and after.isspace() and _around(found.text, span[1])[1].isalnum():
            out.append(" ")
        done = span[1]
    out.append(found.text[done : room[1]])
    return [item for item in out if item != ""]


def _around(text: str, place: int) -> tuple[str, str]:
    """Return the characters before and after a place.  An end of the text has none."""
    return text[place - 1 : place] if place else "", text[place : place + 1]


def _stripped(text: str, room: Span) -> Span:
    """Return a part of a text without the white space around it."""
    part = text[slice(*room)]
    begin = room[0] + len(part) - len(part.lstrip())
    return begin, max(begin, room[0] + len(part.rstrip()))


def _marks(items: Sequence[Item]) -> Iterator[tuple[int, int, Mark]]:
    """Yield the marks of a text with their places and sizes."""
    place = 0
    for item in items:
        size = (
            len(item) if isinstance(item, str) else 1 if item.gap else len(visible(item.children))
        )
        if isinstance(item, Mark):
            yield place, size, item
        place += size


Taken = Sequence[tuple[Span, int, Mark, int]]


def _cut(own: Span, room: Span, taken: Taken, found: Sentences, moved: bool = False) -> Span:
    """Return the place of a mark without text.  A gap takes the place of a space.

    `moved`: the mark stands after a space, as at the beginning of a word.
    """
    gap = own[0] < own[1]
    near, links = found.near(own)
    within = max(near[0], room[0]), min(near[1], room[1])
    within = within if within[0] <= within[1] else room
    place = cut_place(found.text, links, own, within)
    if gap and not room[0] < place < room[1]:
        place = _space(own[0], within, found)
    while moved and place < room[1] and found.text[place].isspace():
        place += 1
    for (begin, end), *_ in taken:
        if begin < place < end:
            place = end
    end = place
    while gap and end < room[1] and found.text[end] == " ":
        end += 1
    if gap and end == place and place > room[0] and found.text[place - 1] == " ":
        place -= 1
    if any(b < end and place < e for (b, e), *_ in taken):
        return end, end
    return place, end


def _space(source: int, room: Span, found: Sentences) -> int:
    """Return the space that is about as far from the beginning of its sentence as in the source."""
    begins = [place for place in found.begins if place[0] <= source]
    wanted = begins[-1][1] + source - begins[-1][0] if begins else source
    spaces = [place for place in range(room[0] + 1, room[1] - 1) if found.text[place] == " "]
    return min(spaces, key=lambda place: abs(place - wanted), default=room[1])


def _interval(own: Span, room: Span, taken: Taken, found: Sentences) -> Span:
    """Return the part of a translation that belongs to a mark.

    The part has the largest number of tokens whose source is in the mark, less the number of other
    tokens.  It splits no word.
    """
    near, links = found.near(own)
    low, high = max(near[0], room[0]), min(near[1], room[1])
    best, most = (0, 0), 0
    busy = sorted(span for span, *_ in taken if span[0] < span[1])
    run: list[int] = []  # begin, sum
    for (begin, end), value in _words(found.text, links, own):
        if begin < low or end > high or any(b < end and begin < e for b, e in busy):
            run = []
            continue
        if run and any(run[0] <= b and e <= begin for b, e in busy):
            run = []
        run = [run[0], run[1] + value] if run and run[1] > 0 else [begin, value]
        if run[1] > most:
            best, most = (run[0], end), run[1]
    within = (low, high) if low <= high else room
    return best if most else _nearest(own, within, links, taken, found)


def _nearest(own: Span, room: Span, links: Sequence[Link], taken: Taken, found: Sentences) -> Span:
    """Return a free word for a mark whose own words the translation lacks, or an empty place."""
    place = _cut((own[0], own[0]), room, taken, found)
    busy = [span for span, *_ in taken]
    free = [
        (begin, end)
        for (begin, end), _ in _words(found.text, links, own)
        if room[0] <= begin
        and end <= room[1]
        and not any((b < end and begin < e) or begin < b == e < end for b, e in busy)
        and any(character.isalnum() for character in found.text[begin:end])
    ]
    return min(free, key=lambda word: abs(word[0] - place[0]), default=place)


def _words(text: str, links: Sequence[Link], own: Span) -> list[tuple[Span, int]]:
    """Return the words of a translation, and the tokens in the mark less the other tokens."""
    words: list[tuple[Span, int]] = []
    for (begin, end), (source, source_end) in sorted(links):
        if begin == end:
            continue
        inside = source < own[1] and max(source_end, source + 1) > own[0]
        value = 1 if inside else -1
        if words and (
            begin < words[-1][0][1] or (begin == words[-1][0][1] and splits_word(text, begin))
        ):
            (first, last), total = words.pop()
            words.append(((first, max(last, end)), total + value))
        else:
            words.append(((begin, end), value))
    return words
