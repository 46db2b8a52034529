"""Checks a regular expression of a tokenizer before the library `tokenizers` compiles it.

The library searches by backtracking (Oniguruma).  Some expressions take exponential time on a short
text.  This check accepts a part of the syntax whose time is bounded: no group repeats, a sequence
repeats at most MOST_LOOPS of its characters without a limit, only optional parts follow the last of
these, and no reference leads back.  Then the last repetition never fails after its first character,
and a match that begins at one place of a text of n characters takes O(n) steps.

    alternatives = sequence ("|" sequence)*
    sequence     = (atom quantifier?)*
    atom         = "(" "?:" alternatives ")" | "[" class "]" | "\\" escape | character
    quantifier   = ("?" | "*" | "+" | "{" m "," n "}") ("?" | "+")?
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_CHARACTERS = 4096
MOST_LOOPS = 2
"""Repetitions without a limit in one sequence, as in the expressions of GPT-4 and Qwen2."""
MOST_TIMES = 64
"""Largest limit of a repetition."""
MOST_WAYS = 1 << 12
"""Product of the numbers of ways in which the limited repetitions of a sequence can match."""
MOST_DEPTH = 8
"""Groups within groups."""

_GROUP = re.compile(r"\((\?(?:[im]*:|[=!]|[im]+\)))?")
_ESCAPE = re.compile(
    r"\\(?:[pP]\{\^?[A-Za-z_ ]{1,40}\}|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|u[0-9A-Fa-f]{4}"
    r"|[^0-9A-Za-z]|[dDhHsSwWnrtfvaebBAzZRX])"
)
_QUANTIFIER = re.compile(r"(?:[?*+]|\{(\d{0,3})(?:(,)(\d{0,3}))?\})[?+]?")


class UnsafePatternError(ValueError):
    """The time of the expression is not bounded, or its syntax is not accepted."""


@dataclass(frozen=True)
class _Cost:
    """What a part of an expression can cost: unlimited repetitions, and ways of limited ones.

    single: whether it is one character.  optional: whether it may be absent.
    """

    loops: int = 0
    ways: int = 1
    single: bool = False
    optional: bool = False

    def then(self, other: _Cost) -> _Cost:
        """The cost of both, one after the other."""
        return _Cost(self.loops + other.loops, self.ways * other.ways)

    def repeated(self, most: int | None, optional: bool) -> _Cost:
        """The cost of at most `most` repetitions; None: without a limit."""
        if most is None and self.single:
            return _Cost(1, self.ways, optional=optional)
        if most is None or (most > 1 and not self.single):
            raise UnsafePatternError("a group repeats")
        if most > MOST_TIMES:
            raise UnsafePatternError(f"{most} repetitions (at most {MOST_TIMES})")
        return _Cost(self.loops, self.ways * (most + 1), optional=optional)


def check(pattern: str) -> None:
    """Check an expression.  Raises `UnsafePatternError`, which says what is not accepted."""
    if not 0 < len(pattern) <= MOST_CHARACTERS:
        raise UnsafePatternError(f"{len(pattern)} characters, not 1 to {MOST_CHARACTERS}")
    parser = _Parser(pattern)
    parser.alternatives(0)
    if parser.at < len(pattern):
        raise UnsafePatternError(f"a ) without a ( at character {parser.at}")


class _Parser:
    """A parser by recursive descent.  `at`: the next character."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self.at = pattern, 0

    def _next(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def alternatives(self, depth: int) -> _Cost:
        """Parse alternatives, and return the largest cost."""
        if depth > MOST_DEPTH:
            raise UnsafePatternError(f"groups within more than {MOST_DEPTH} groups")
        found = [self._sequence(depth)]
        while self._next() == "|":
            self.at += 1
            found.append(self._sequence(depth))
        return _Cost(max(c.loops for c in found), sum(c.ways for c in found))

    def _sequence(self, depth: int) -> _Cost:
        cost = _Cost()
        while self._next() not in ("", "|", ")"):
            item = self._item(depth)
            if cost.loops == MOST_LOOPS and not item.optional:
                raise UnsafePatternError(f"what follows {MOST_LOOPS} repetitions is not optional")
            cost = cost.then(item)
            if cost.loops > MOST_LOOPS:
                raise UnsafePatternError(f"more than {MOST_LOOPS} repetitions without a limit")
            if cost.ways > MOST_WAYS:
                raise UnsafePatternError("too many ways to match")
        return cost

    def _item(self, depth: int) -> _Cost:
        cost = self._atom(depth)
        found = _QUANTIFIER.match(self._pattern, self.at)
        if found is None:
            if self._next() == "{":
                raise UnsafePatternError(f"a {{ without numbers at character {self.at}")
            return _Cost(cost.loops, cost.ways)
        self.at = found.end()
        if self._next() in ("?", "*", "+", "{") and self._next():
            raise UnsafePatternError(f"a repetition repeats at character {self.at}")
        return cost.repeated(_most(found), _may_be_absent(found))

    def _atom(self, depth: int) -> _Cost:
        character = self._next()
        if character == "(":
            return self._group(depth)
        if character == "[":
            self._class()
        elif character == "\\":
            self._escape()
        elif character in "?*+{":
            raise UnsafePatternError(f"nothing to repeat at character {self.at}")
        else:
            self.at += 1
        return _Cost(single=True)

    def _group(self, depth: int) -> _Cost:
        found = _GROUP.match(self._pattern, self.at)
        assert found is not None
        self.at = found.end()
        if found[0].endswith(")"):  # (?i) sets a flag
            return _Cost()
        if self._next() == "?":
            raise UnsafePatternError(f"a group of another kind at character {self.at}")
        cost = self.alternatives(depth + 1)
        if self._next() != ")":
            raise UnsafePatternError("a ( without a )")
        self.at += 1
        return _Cost(cost.loops, cost.ways)

    def _class(self) -> None:
        """Skip a class of characters, and the classes in it."""
        depth = 0
        while True:
            character = self._next()
            if character == "":
                raise UnsafePatternError("a [ without a ]")
            if character == "\\":
                self._escape()
                continue
            self.at += 1
            if character == "[":
                depth += 1
                if depth > MOST_DEPTH:
                    raise UnsafePatternError(f"classes within more than {MOST_DEPTH} classes")
            elif character == "]":
                depth -= 1
                if depth == 0:
                    return

    def _escape(self) -> None:
        found = _ESCAPE.match(self._pattern, self.at)
        if found is None:
            raise UnsafePatternError(f"the escape {self._pattern[self.at : self.at + 2]!r}")
        self.at = found.end()


def _may_be_absent(found: re.Match[str]) -> bool:
    """Whether a quantifier allows no repetition."""
    return found[0][0] in "?*" or (found[0][0] == "{" and int(found[1] or 0) == 0)


def _most(found: re.Match[str]) -> int | None:
    """The largest number of repetitions of a quantifier; None: without a limit."""
    if found[0][0] == "?":
        return 1
    if found[0][0] in "*+":
        return None
    least, comma, most = found[1], found[2], found[3]
    if not comma:
        return int(least or 0)
    return int(most) if most else None
