"""Goes on with a run that ended early: what its output has, and a sidecar that says what made it.

The sidecar of OUTPUT is OUTPUT.int8ref, a JSON document: the model, the options, and the digests of
the inputs.  A run goes on only if its own sidecar would be the same.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from int8ref.errors import UserError
from int8ref.text.compressed import kind_of, opened, pieces
from int8ref.text.streams import open_input

END = ".int8ref"
"""End of the name of a sidecar, after the name of the output."""
BLOCK = 1 << 20
MAX_SIDECAR = 1 << 20
LONGEST_NUMBER = 32
"""Bytes of a line that contain its number and the separator after it."""
_NUMBER = re.compile(rb"(\d{1,20}) \|\|\| ")


class Measured(NamedTuple):
    """An input file: its number of lines, and the SHA-256 of its bytes."""

    lines: int
    sha256: str


def measure(path: str) -> Measured:
    """Measure an input file, which is read twice if it is compressed."""
    digest = hashlib.sha256()
    with open_input(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return Measured(count_lines(path), digest.hexdigest())


def count_lines(path: str) -> int:
    """Return the number of lines of a file.  The last line may lack its line feed."""
    lines, last = 0, b"\n"
    with opened(open_input(path), path) as file:
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


class Kept(NamedTuple):
    """The beginning of an output that is kept.

    results  number of whole results
    size     their bytes
    found    bytes of the file
    """

    results: int
    size: int
    found: int


NOTHING = Kept(0, 0, 0)


def kept(path: str, numbered: bool, first: int) -> Kept:
    """Return the whole results of an output.

    Without `numbered`, each line is a result.  With `numbered`, each line begins with the number of
    its input line (n-best lists), and a result may have several lines.  Then the last result counts
    as torn, because only a later result shows that it is whole.  `first`: number of the first
    input line.

    A zero byte counts as the end, because a failure of power may leave zero bytes at the end.
    """
    if not os.path.exists(path) or not os.path.getsize(path):
        return NOTHING
    with open(path, "rb") as file:
        if kind_of(path) is not None:
            return _kept_parts(path, file, numbered, first)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            zero = data.find(b"\0")
            end = data.rfind(b"\n", 0, len(data) if zero < 0 else zero) + 1
            if numbered and end:
                number = _number(data[data.rfind(b"\n", 0, end - 1) + 1 : end], path)
                begin = data.find(b"\n%d ||| " % number) + 1
                return Kept(number - first, begin, len(data))
            lines = sum(data[at : min(at + BLOCK, end)].count(b"\n") for at in range(0, end, BLOCK))
            return Kept(lines, end, len(data))


def _kept_parts(path: str, file: BinaryIO, numbered: bool, first: int) -> Kept:
    """Return the whole results of a compressed output.  A part ends with a whole result."""
    kind = kind_of(path)
    assert kind is not None
    results = size = lines = 0
    tail = b""
    try:
        for piece in pieces(file, kind, path):  # type: ignore[arg-type]
            if isinstance(piece, bytes):
                lines += piece.count(b"\n")
                text = tail + piece
                last = text[text.rfind(b"\n", 0, -1) + 1 :]
                tail = last[:LONGEST_NUMBER] + last[-1:]
            else:
                results = _number(tail, path) + 1 - first if numbered and lines else lines
                size = piece
    except UserError:  # the last part is torn
        pass
    return Kept(results, size, os.path.getsize(path))


def _number(line: bytes, path: str) -> int:
    found = _NUMBER.match(line)
    if found is None:
        raise UserError(f"{path}: the last whole line has no number, so that no run can go on")
    return int(found[1])


def sidecar(
    command: str,
    identity: dict[str, Any],
    inputs: Sequence[Measured],
    lines: int,
) -> dict[str, Any]:
    """Return the content of a sidecar: what decides the bytes of an output.

    `identity`: see `commands.receipt.identity`.  `lines`: number of lines that the run reads.
    """
    files = [{"lines": one.lines, "sha256": one.sha256} for one in inputs]
    return {"command": command, **identity, "inputs": files, "lines": lines}


def check_sidecar(path: str, mine: dict[str, Any]) -> None:
    """Raise `UserError` unless the sidecar of an output is the same as `mine`."""
    try:
        with open(path + END, "rb") as file:
            theirs = msgspec.json.decode(file.read(MAX_SIDECAR), type=dict[str, Any])
    except FileNotFoundError:
        raise UserError(
            f"{path}: --resume goes on only with an output that a run with --resume began: there is"
            f" no {path + END}; remove the output to begin anew"
        ) from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise UserError(
            f"{path + END}: damaged: {error}; remove the output to begin anew"
        ) from None
    for name in [*mine, *theirs]:
        before, now = theirs.get(name), mine.get(name)
        if before != now:
            told = f"{path}: another run wrote this: its {name} is {_shown(before)}, now"
            raise UserError(f"{told} {_shown(now)}; remove the output to begin anew")


def encoded(mine: dict[str, Any]) -> bytes:
    """Return the bytes of a sidecar."""
    return msgspec.json.format(msgspec.json.encode(mine), indent=2) + b"\n"


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:200]
