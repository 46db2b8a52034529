"""Reading of lines, and writing of whole lines only."""

from __future__ import annotations

import fcntl
import gzip
import importlib.util
import io
import lzma
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.errors import UserError
from int8ref.text.lines import (
    MAX_LINE_BYTES,
    Lines,
    LineWriter,
    TextError,
    open_output,
    split_arguments,
)
from int8ref.text.streams import RawFile


def read(content: bytes) -> tuple[list[str], list[str]]:
    """Return the lines and the warnings."""
    warnings: list[str] = []
    lines = Lines(io.BytesIO(content), warnings.append)
    found = list(lines)
    assert lines.position == len(content)
    return found, warnings


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"))), st.booleans())
def test_only_a_line_feed_ends_a_line(lines: list[str], final: bool) -> None:
    content = "\n".join(lines).encode() + b"\n" * (final and bool(lines))
    expected = lines if final or not lines or lines[-1] else lines[:-1]
    assert read(content) == ([line.removesuffix("\r") for line in expected], [])


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\n\n", ["", ""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r\r\n", ["a\rb\r"]),
        ("a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(), ["a\u2028b\u0085c\x0bd\x0ce\x1cf"]),
        (b"a\0b\n", ["a\0b"]),
    ],
)
def test_lines(content: bytes, lines: list[str]) -> None:
    assert read(content) == (lines, [])


@pytest.mark.parametrize("extra", [0, 1, 2, MAX_LINE_BYTES, 3 * MAX_LINE_BYTES + 1])
@pytest.mark.parametrize("end", [b"", b"\n", b"\nnext"])
def test_long_lines_lose_their_end(extra: int, end: bytes) -> None:
    lines, warnings = read(b"a" * (MAX_LINE_BYTES + extra) + end)
    assert lines == ["a" * MAX_LINE_BYTES] + ["next"] * (end == b"\nnext")
    expected = [f"line 1: only the first {MAX_LINE_BYTES} bytes are read"]
    assert warnings == (expected if extra else [])


def test_long_lines_are_cut_between_characters() -> None:
    lines, warnings = read(b"a" + "\U0001f408".encode() * MAX_LINE_BYTES + b"\n\xc3\xa9")
    assert lines == ["a" + "\U0001f408" * (MAX_LINE_BYTES // 4 - 1), "\u00e9"]
    assert len(warnings) == 1


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"ab\xe2\x82"])
def test_what_is_not_utf8_names_its_line(wrong: bytes) -> None:
    lines = iter(Lines(io.BytesIO(b"one\n\n" + wrong + b"\nfour\n"), pytest.fail))
    assert [next(lines), next(lines)] == ["one", ""]
    with pytest.raises(TextError, match="line 3 is not UTF-8: byte "):
        next(lines)


def test_arguments() -> None:
    assert split_arguments(["a", "", "b\r\nc\n"]) == ["a", "", "b", "c", ""]
    with pytest.raises(TextError, match="argument 2 is not UTF-8"):
        split_arguments(["a", os.fsdecode(b"\xff")])


class Pieces(RawFile):
    """A file that accepts three bytes at a time, as a console or a full pipe may do."""

    def write(self, data: Any) -> int:
        return super().write(data[:3])


def test_writer_writes_all_even_in_pieces(tmp_path: Path) -> None:
    with LineWriter(Pieces(str(tmp_path / "out"), "wb", "out")) as writer:
        writer.write(["The cat", "", "sat \u00e9"])
    assert (tmp_path / "out").read_bytes() == "The cat\n\nsat \u00e9\n".encode()


def test_output_is_emptied_unless_it_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("content")
    (tmp_path / "link").hardlink_to(tmp_path / "a")
    with pytest.raises(UserError, match="the output is the input file"):
        open_output(str(tmp_path / "link"), {"input": (tmp_path / "a").stat()})
    assert (tmp_path / "a").read_text() == "content"
    with open_output(str(tmp_path / "a"), {}):
        assert (tmp_path / "a").read_text() == ""


def test_an_output_is_binary_where_the_system_makes_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without O_BINARY, Windows writes two bytes for a line feed."""
    monkeypatch.setattr(os, "O_BINARY", os.O_SYNC, raising=False)
    flags = importlib.util.find_spec("int8ref.text.lines")
    assert flags is not None
    assert flags.loader is not None
    windows = importlib.util.module_from_spec(flags)
    flags.loader.exec_module(windows)
    with windows.open_output(str(tmp_path / "out"), {}) as writer:
        assert fcntl.fcntl(writer._file.fileno(), fcntl.F_GETFL) & os.O_SYNC == os.O_SYNC


def test_a_byte_order_mark_is_not_text() -> None:
    assert read(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n\xef\xbb\xbf") == (["a", "\ufeffb", "\ufeff"], [])
    assert read(b"\xef\xbb\xbf") == ([""], [])


@pytest.mark.parametrize(
    ("content", "guess"),
    [
        (gzip.compress(b"a cat", mtime=0), "compressed by gzip"),
        (lzma.compress(b"a cat"), "compressed by xz"),
        ("a cat".encode("utf-16"), "probably UTF-16"),
        ("a cat".encode("utf-16-be").join([b"\xfe\xff", b""]), "probably UTF-16"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "compressed by zstd"),
    ],
)
def test_what_is_given_for_a_text_is_recognised(content: bytes, guess: str) -> None:
    with pytest.raises(TextError, match=f"^line 1 is not UTF-8: .*; the file is {guess}"):
        list(Lines(io.BytesIO(content), pytest.fail))
    with pytest.raises(TextError, match=r"^a\.gz: line 2 is not UTF-8: byte [0-9]* [^;]*$"):
        list(Lines(io.BytesIO(b"\n" + content.replace(b"\n", b"")), pytest.fail, "a.gz"))


def test_a_file_with_a_name_is_named() -> None:
    told: list[str] = []
    lines = Lines(io.BytesIO(b"a" * (MAX_LINE_BYTES + 1) + b"\n\xff"), told.append, "b.pt")
    with pytest.raises(TextError, match=r"^b\.pt: line 2 is not UTF-8"):
        list(lines)
    assert told == [f"b.pt: line 1: only the first {MAX_LINE_BYTES} bytes are read"]
