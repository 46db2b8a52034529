"""Compressed files by the ends of their names: gzip, xz and Zstandard.

A compressed file is a sequence of members (gzip), streams (xz) or frames (Zstandard), which are
called parts here.  Each part can be read alone.  A reader needs bounded memory for every file.  A
writer writes whole parts, which end with a whole result.  Therefore a run can go on after the last
whole part.
"""

from __future__ import annotations

import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from int8ref.errors import UserError
from int8ref.host import extras

MAX_MEMORY = 1 << 28
"""Bytes of memory that a reader of xz may take: `xz -9` needs 65 MiB."""
MAX_WINDOW_LOG = 27
"""Largest window of Zstandard, 2^27 bytes, which the program zstd accepts without an option."""
BLOCK = 1 << 16
"""Bytes that are read or decompressed at once."""


class _Gzip:
    """The interface of `lzma.LZMADecompressor` for one member of a gzip file."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._full = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length  # zlib may hold more, without an unread input
        return found

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail and not self._full

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data


def _zstd() -> Any:
    """Return the module of Zstandard.  Raises `UserError` if it is not installed."""
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return extras.required(module, "zstd", "Zstandard needs")


def _read_zstd() -> Any:
    zstd = _zstd()
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: MAX_WINDOW_LOG}
    )


def _write_gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # the time in the header is 0
    return packer.compress(data) + packer.flush()


class Kind(NamedTuple):
    """A kind of compression.

    name     its name in messages
    reader   returns a decompressor of one part
    pack     compresses one part
    padding  zero bytes between parts are allowed
    """

    name: str
    reader: Callable[[], Any]
    pack: Callable[[bytes], bytes]
    padding: bool


def _read_xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_MEMORY)


KINDS = {
    ".gz": Kind("gzip", _Gzip, _write_gzip, True),
    ".xz": Kind(
        "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_MEMORY), lzma.compress, True
    ),
    ".zst": Kind("Zstandard", _read_zstd, lambda data: _zstd().compress(data), False),
}


def kind_of(path: str) -> Kind | None:
    """Return the compression of a file by the end of its name, or None."""
    return next((kind for end, kind in KINDS.items() if path.endswith(end)), None)


def pieces(file: io.BufferedIOBase | io.RawIOBase, kind: Kind, name: str) -> Iterator[bytes | int]:
    """Yield the content in pieces of at most `BLOCK` bytes, and after each part its end.

    The end is the number of compressed bytes up to there.  Raises `UserError` with `name` if the
    data are damaged, or end within a part.
    """
    data, position = b"", 0  # `position`: compressed bytes before `data`
    while True:
        if not data:
            data = file.read(BLOCK) or b""
        if kind.padding and position:
            bare = data.lstrip(b"\0")
            position += len(data) - len(bare)
            if data and not bare:
                data = b""
                continue
            data = bare
        if not data:
            return
        part = kind.reader()
        try:
            while not part.eof:
                if not data and part.needs_input:
                    data = file.read(BLOCK) or b""
                    if not data:
                        raise UserError(f"{name}: the {kind.name} data end in the middle")
                found = part.decompress(data, BLOCK)
                position += len(data)
                data = b""
                if found:
                    yield found
        except (zlib.error, lzma.LZMAError, MemoryError) as error:
            raise UserError(f"{name}: damaged {kind.name} data: {error}") from None
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise UserError(f"{name}: damaged {kind.name} data: {error}") from None
        data = part.unused_data
        position -= len(data)
        yield position


class Decompressed(io.RawIOBase):
    """The content of a compressed file, as a file for reading."""

    def __init__(self, file: io.BufferedReader, kind: Kind, name: str) -> None:
        self._file = file
        self._pieces = (piece for piece in pieces(file, kind, name) if isinstance(piece, bytes))
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Implement `io.IOBase`."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Implement `io.RawIOBase`."""
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def fileno(self) -> int:
        """Implement `io.IOBase`."""
        return self._file.fileno()

    def close(self) -> None:
        """Implement `io.IOBase`."""
        if not self.closed:
            self._file.close()
            super().close()

    def isatty(self) -> bool:
        """Implement `io.IOBase`."""
        return False


def opened(file: io.BufferedReader, path: str) -> io.BufferedReader:
    """Return the content of a file: decompressed, if the end of its name names a compression."""
    kind = kind_of(path)
    return file if kind is None else io.BufferedReader(Decompressed(file, kind, path))
