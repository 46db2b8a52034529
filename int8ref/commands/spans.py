"""The lines of a run: which lines of an input it reads, and their numbers."""

from __future__ import annotations

import argparse
from typing import NamedTuple


class Span(NamedTuple):
    """Lines of an input.

    skip    lines before them, which are not read
    lines   their number; None: all to the end
    number  number of the first of them, from 0.  Draws of random numbers and ids depend on it
    """

    skip: int
    lines: int | None
    number: int

    def after(self, done: int) -> Span:
        """Return the span without its first `done` lines."""
        rest = None if self.lines is None else self.lines - done
        return Span(self.skip + done, rest, self.number + done)


def shard(text: str) -> tuple[int, int]:
    """Parse I/N: the I-th of N shards, from 1."""
    try:
        place, count = map(int, text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, such as 1/4") from None
    if not 1 <= place <= count:
        raise argparse.ArgumentTypeError(f"{text!r}: I is from 1 to N")
    return place, count


def of_shard(lines: int, part: tuple[int, int] | None, first: int) -> Span:
    """Return the lines of a shard of an input of `lines` lines: a block, as large as the others.

    The outputs of all shards, one after another, are the output of one run.
    """
    place, count = part or (1, 1)
    begin, end = lines * (place - 1) // count, lines * place // count
    return Span(begin, end - begin, first + begin)
