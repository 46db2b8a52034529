"""Markdown (CommonMark with tables and strikethrough), parsed by markdown-it-py.

The parser says where the texts and their marks are, and all other bytes stay.  Blocks of code, HTML
and the front matter stay as they are.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from int8ref.documents.elements import Piece, Rules, flushed
from int8ref.documents.errors import required
from int8ref.documents.format import Opened
from int8ref.documents.formats.hypertext import INLINE, VOID
from int8ref.documents.inline import Mark, Segment
from int8ref.documents.markup import Token, decoded, encoded, html_tokens

FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n.*?^(?:---|\.\.\.)[ \t]*\r?$", re.DOTALL | re.MULTILINE)
SPECIAL = re.compile(
    r"[\\`*\[\]<|]|(?<!\w)_|_(?!\w)|~(?=~)|&(?=\#?\w+;)"
    r"|(?<!\S)(?:[-+=#>])(?=[-+=#>]*(?:\s|$))|(?<=\d)(?<!\w\w)[.)](?=\s|$)(?!$)"
)
"""Characters that may mean something to Markdown."""
OPENS = {"em_open": 1, "strong_open": 2, "s_open": 2}
CLOSES = {"em_close": 1, "strong_close": 2, "s_close": 2}


class Event(msgspec.Struct, frozen=True):
    """What a part of a text means.  `kind`: open, close, atom, text, gap or break."""

    begin: int
    end: int
    kind: str
    text: str = ""


def escaped(text: str) -> str:
    """Return the form of a text in Markdown."""
    return SPECIAL.sub(lambda match: "\\" + match[0], text)


RULES = Rules(frozenset(), read=str, escape=escaped, empty=False)


def read(content: bytes, name: str) -> Opened:
    """Open Markdown."""
    text, encoding = decoded(content, name)
    return Opened([list(_parts(text))], lambda texts: encoded(texts[0], encoding, "strict"))


def _parts(text: str) -> Iterator[str | Segment]:
    head = FRONT_MATTER.match(text)
    done = head.end() if head else 0
    yield text[:done]
    body = text[done:]
    parser = _parser()
    lines = _lines(body)
    place = 0
    env: dict[str, Any] = {}
    for token in parser.parse(body, env):
        if token.type != "inline" or token.map is None:
            continue
        found = _located(body, lines, token.map[0], token.content, place)
        if found:
            yield body[place : found[0][0]]
            yield from flushed(_pieces(parser, env, token.content, body, found), RULES, True)
            place = found[-1][1]
    yield body[place:]


def _parser() -> Any:
    """Return a parser that stores where the rules of a text matched."""
    parser = required("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for rule in parser.inline.ruler.__rules__:
        parser.inline.ruler.at(rule.name, _recorded(rule.name, rule.fn))
    return parser


def _recorded(name: str, rule: Callable[[Any, bool], bool]) -> Callable[[Any, bool], bool]:
    def recorded(state: Any, silent: bool) -> bool:
        begin = state.pos
        label = state.md.helpers.parseLinkLabel(state, begin, True) if name == "link" else 0
        matched: bool = rule(state, silent)
        if matched and not silent:
            state.env.setdefault("matches", []).append((name, begin, state.pos, label))
            if name in ("emphasis", "strikethrough"):
                _mark_delimiters(state, begin)
        return matched

    return recorded


def _mark_delimiters(state: Any, begin: int) -> None:
    """Store the places of the delimiters that a rule has just pushed."""
    end = state.pos
    for token in reversed(state.tokens):
        if end <= begin:
            break
        token.meta["end"] = end
        end -= len(token.content)


def _lines(body: str) -> list[int]:
    """Return where the lines begin.  A line ends as markdown-it ends it."""
    return [0, *(match.end() for match in re.finditer(r"\r\n|\n|\r", body))]


def _located(
    body: str, lines: Sequence[int], line: int, content: str, place: int
) -> list[tuple[int, int]]:
    """Return the places of the lines of a text in the file, or nothing if they differ."""
    found = []
    for number, part in enumerate(content.split("\n"), start=line):
        if number >= len(lines):
            return []
        end = lines[number + 1] if number + 1 < len(lines) else len(body)
        begin = body.find(part, max(place, lines[number]), end)
        if begin < 0:
            return []
        place = begin + len(part)
        found.append((begin, place))
    return found


def _pieces(
    parser: Any, env: dict[str, Any], content: str, body: str, found: Sequence[tuple[int, int]]
) -> list[Piece]:
    """Return the pieces of a text.  `found`: the places of its lines in the file."""
    gaps = [body[a[1] : b[0]] for a, b in pairwise(found)]
    ends = iter(gaps)
    pieces: list[Piece] = []
    done = 0
    for event in _events(parser, env, content):
        if event.begin < done:
            continue
        if event.begin > done:
            pieces.append(Piece(Token("text", "", content[done : event.begin])))
        raw = content[event.begin : event.end]
        if event.kind in ("gap", "break"):
            raw = raw.split("\n")[0] + next(ends, "\n")
            gap = Mark([raw], gap=True)
            gapped = event.kind == "gap"
            pieces.append(
                Piece(Token("other", "", raw), gap) if gapped else Piece(Token("break", "", raw))
            )
        elif event.kind == "text":
            pieces.append(Piece(Token("text", "", event.text)))
        elif event.kind == "atom":
            pieces += _atoms(raw)
        else:
            pieces.append(Piece(Token(event.kind, event.text, raw)))
        done = event.end
    return [*pieces, Piece(Token("text", "", content[done:]))]


def _atoms(raw: str) -> list[Piece]:
    """Return the pieces of what stays.  Tags of HTML may be around text."""
    token = next(html_tokens(raw, VOID))
    if token.raw == raw and token.name in INLINE and token.kind != "empty":
        return [Piece(token)]
    return [Piece(Token("other", "", raw), Mark([raw]))]


def _events(parser: Any, env: dict[str, Any], content: str) -> list[Event]:
    """Return what the parts of a text mean, in order.  `env`: the references of the file."""
    env = {**env, "matches": []}
    tokens: list[Any] = []
    parser.inline.parse(content, parser, env, tokens)
    events = [e for match in env.get("matches", []) for e in _event(content, *match)]
    for token in tokens:
        if token.type in OPENS and "end" in token.meta:
            end, size = token.meta["end"], OPENS[token.type]
            events.append(Event(end - size, end, "open", token.type[:-5]))
        elif token.type in CLOSES and "end" in token.meta:
            end, size = token.meta["end"], CLOSES[token.type]
            begin = end - 1 if token.type == "strong_close" else end - size
            events.append(Event(begin, begin + size, "close", token.type[:-6]))
    return sorted(events, key=lambda event: (event.begin, -event.end))


def _event(content: str, name: str, begin: int, end: int, label: int) -> Iterator[Event]:
    raw = content[begin:end]
    if name == "link":
        yield Event(begin, begin + 1, "open", "link")
        yield Event(label, end, "close", "link")
    elif name == "newline" or raw.startswith("\\\n"):
        start = len(content[:begin].rstrip(" "))
        hard = name != "newline" or begin - start >= 2
        yield Event(start, end, "break" if hard else "gap")
    elif name == "escape":
        yield Event(begin, end, "text", raw[1:])
    elif name == "entity":
        yield Event(begin, end, "text", html.unescape(raw))
    elif name in ("backticks", "autolink", "html_inline", "image"):
        yield Event(begin, end, "atom")
