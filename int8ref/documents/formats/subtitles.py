"""Subtitles: SubRip (.srt) and WebVTT (.vtt).  A cue is the lines after a line with `-->`."""

from __future__ import annotations

import re

from int8ref.documents.elements import Piece, Rules, flushed
from int8ref.documents.format import Opened
from int8ref.documents.inline import Mark, Segment
from int8ref.documents.markup import Token, decoded, encoded, html_tokens

INLINE = frozenset(["b", "c", "font", "i", "lang", "rt", "ruby", "s", "u", "v"])
SPEAKER = re.compile(r"\s*(?:<[^>]*>)*\s*[-\u2013\u2014]")
"""A line that begins with a dash is the speech of another person."""
OVERRIDE = re.compile(r"(\{\\[^{}]*\}|<\d[\d:.]*>)")
"""Codes for the place and the time of a text, within the text."""


def read(content: bytes, name: str) -> Opened:
    """Open subtitles.  Only WebVTT has entities."""
    text, encoding = decoded(content, name)
    rules = Rules(INLINE)
    if not text.startswith("WEBVTT"):
        rules = Rules(INLINE, read=str, escape=str)
    parts: list[str | Segment] = []
    cue: list[str] | None = None
    for line in text.splitlines(keepends=True):
        if cue is not None and line.strip():
            cue.append(line)
            continue
        if cue:
            parts += _cue(cue, rules)
        cue = [] if "-->" in line else None
        parts.append(line)
    parts += _cue(cue, rules) if cue else []
    return Opened([parts], lambda texts: encoded(texts[0], encoding, "strict"))


def _cue(lines: list[str], rules: Rules) -> list[str | Segment]:
    """Return the text of a cue.  Its sentences go on from line to line."""
    pieces: list[Piece] = []
    ends = [line[len(line.rstrip("\r\n")) :] for line in lines]
    for number, line in enumerate(lines):
        if number and SPEAKER.match(line):
            pieces.append(Piece(Token("break", "", ends[number - 1])))
        elif number:
            gap = Mark([ends[number - 1]], gap=True)
            pieces.append(Piece(Token("other", "", ends[number - 1]), gap))
        for place, part in enumerate(OVERRIDE.split(line.rstrip("\r\n"))):
            if place % 2:
                pieces.append(Piece(Token("other", "", part), Mark([part])))
            else:
                pieces += map(_piece, html_tokens(part, frozenset()))
    return [*flushed(pieces, rules, True), ends[-1]]


def _piece(token: Token) -> Piece:
    name = token.name.split(".")[0]
    if token.kind == "text" or name in INLINE:
        return Piece(Token(token.kind, name, token.raw))
    return Piece(token, Mark([token.raw]))
