"""Compares input and output of a run with the files that were published beside a receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from int8ref.commands.npy import HEADER_BYTES, header
from int8ref.text.streams import open_input
from int8ref.verification.difference import DifferenceError


def input_checked(texts: Iterable[str], lines: Iterable[str], path: str) -> Iterator[str]:
    """Yield the texts of a receipt.  Raises `DifferenceError` if a line of the file differs."""
    each = iter(lines)
    number = 0
    for number, text in enumerate(texts, start=1):
        line = next(each, None)
        if line is None:
            raise DifferenceError(f"{path} ends before line {number}, the receipt does not")
        if line != text:
            raise DifferenceError(f"{path}, line {number}: the receipt has another text")
        yield text
    if next(each, None) is not None:
        raise DifferenceError(f"{path} has a line {number + 1}, the receipt has none")


class Unchecked:
    """Takes the place of an output that nobody compares."""

    terminal = False

    def __enter__(self) -> Unchecked:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, written: Iterable[object]) -> None:
        """Take lines or rows."""


class _Checked(Unchecked):
    """Compares an output with a file.  `_what`: a piece of the output, in messages."""

    def __init__(self, path: str, what: str) -> None:
        self._path, self._what = path, what
        self._file: BinaryIO = open_input(path)
        self._count = 0

    def __exit__(self, *raised: object) -> None:
        with self._file:
            if raised[0] is None and self._file.read(1):
                raise DifferenceError(f"{self._path} has more than {self._count} {self._what}s")

    def _compare(self, piece: bytes) -> None:
        self._count += 1
        found = self._file.read(len(piece))
        if found != piece:
            at = next(
                (i for i, (a, b) in enumerate(zip(found, piece, strict=False)) if a != b),
                len(found),
            )
            place = f"{self._path}, {self._what} {self._count}, byte {at + 1}"
            got = f"has {found[at]:#04x}" if at < len(found) else "ends here"
            raise DifferenceError(f"{place}: the file {got}, this run gives {piece[at]:#04x}")


class LinesChecked(_Checked):
    """Compares lines."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "line")

    def write(self, written: Iterable[object]) -> None:
        """Compare the lines of each result, each with its line feed."""
        for result in written:
            for line in str(result).split("\n"):
                self._compare(f"{line}\n".encode())


class RowsChecked(_Checked):
    """Compares rows of int8 with an array of NumPy."""

    def __init__(self, path: str, width: int) -> None:
        super().__init__(path, "row")
        self._width = width
        self._header = self._file.read(HEADER_BYTES)

    def write(self, written: Iterable[object]) -> None:
        """Compare rows."""
        for row in written:
            assert isinstance(row, bytes)
            self._compare(row)

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        if raised[0] is None and self._header != header(self._count, self._width):
            raise DifferenceError(f"{self._path}: the header of the array differs")
