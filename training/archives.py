"""Finds a file by its name in a folder of downloads: extracted, or inside an archive, .gz or not.

Nothing is extracted to the disk, and nothing of an archive is executed.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ARCHIVES = (".tgz", ".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip")
COMPRESSED: dict[str, Callable[[Any], IO[bytes]]] = {"": lambda s: s, ".gz": gzip.open}
COMPRESSED |= {".xz": lzma.open}


@dataclass(frozen=True)
class Place:
    """A file on the disk, or a member of an archive, and its compression."""

    path: Path
    member: str
    compression: str

    @property
    def name(self) -> str:
        """The name of the file without the ending of the compression."""
        return (self.member or self.path.name).removesuffix(self.compression)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines without their line feeds.  Only the line feed ends a line."""
        with opened(self.path, self.member) as raw, COMPRESSED[self.compression](raw) as stream:
            for line in stream:
                yield line.rstrip(b"\n")

    def __str__(self) -> str:
        return f"{self.path}:{self.member}" if self.member else str(self.path)


@contextmanager
def opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    """Open a file, or a member of the archive `path`."""
    if not member:
        with path.open("rb") as stream:
            yield stream
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream
    else:
        with tarfile.open(path) as tar:
            found = tar.extractfile(member)
            if found is None:
                raise ValueError(f"{path}: {member} is no plain file")
            yield found


class Downloads:
    """The files below a folder, and the members of the archives in it."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder {folder}")
        self.folder = folder
        self.names: list[tuple[str, Place]] = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.add(path.relative_to(folder).as_posix(), Place(path, "", ""))
            if path.name.endswith(ARCHIVES):
                for member in members(path):
                    self.add(member, Place(path, member, ""))

    def add(self, name: str, place: Place) -> None:
        for ending in COMPRESSED:
            if name.endswith(ending):
                found = Place(place.path, place.member, ending)
                self.names.append((f"/{name.removesuffix(ending)}", found))

    def find(self, names: Sequence[str]) -> Place:
        """Return the first file whose path ends in one of the names.  Earlier names win."""
        for name in names:
            for path, place in self.names:
                if path.endswith(f"/{name}"):
                    return place
        raise FileNotFoundError(
            f"{self.folder} has no {' or '.join(names)}, neither extracted nor in an archive"
        )


def members(path: Path) -> list[str]:
    """Return the names of the plain files in an archive."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                return [info.filename for info in archive.infolist() if not info.is_dir()]
        with tarfile.open(path) as tar:
            return [member.name for member in tar if member.isfile()]
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"{path} is no readable archive: {error}") from None
