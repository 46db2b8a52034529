"""Documents that are ZIP archives: .docx, .odt and EPUB.

The members without text keep their content, their order and their kind of compression.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence

from int8ref.documents.errors import DocumentError
from int8ref.documents.format import Opened
from int8ref.documents.inline import Segment
from int8ref.documents.markup import decoded, encoded

MAX_MEMBERS = 10_000
MAX_TOTAL_BYTES = 1 << 28
"""Largest size of all members together, when they are unpacked."""
MAX_TEXT_BYTES = 1 << 26
"""Largest size of all members with text together."""
PIECE_BYTES = 1 << 16

Parts = Callable[[str, str], list[str | Segment]]
"""Returns the segments of a member.  The arguments are its text, and its name in messages."""


def read(content: bytes, name: str, parts_of: Callable[[str], Parts | None]) -> Opened:
    """Open an archive.  `parts_of`: returns the reader of the member with a name, or None."""
    archive = _opened(content, name)
    members = archive.infolist()
    texts: dict[str, str] = {}
    documents = []
    total = 0
    for member in members:
        if (parts := parts_of(member.filename)) is not None:
            where = f"{name}: {member.filename}"
            unpacked = _content(archive, member, where, MAX_TEXT_BYTES - total)
            total += len(unpacked)
            text, texts[member.filename] = decoded(unpacked, where)
            documents.append(parts(text, where))
    if not documents:
        raise DocumentError(f"{name}: the archive has no text of this format")

    def finish(translated: Sequence[str]) -> bytes:
        written = zip(texts, translated, texts.values(), strict=True)
        return _rewritten(archive, name, {m: encoded(t, code) for m, t, code in written})

    return Opened(documents, finish)


def _opened(content: bytes, name: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DocumentError(f"{name}: not a ZIP archive: {error}") from None
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise DocumentError(f"{name}: the archive has more than {MAX_MEMBERS} members")
    if len({member.filename for member in members}) < len(members):
        raise DocumentError(f"{name}: the archive has two members of one name")
    if any(member.flag_bits & 1 for member in members):
        raise DocumentError(f"{name}: the archive is encrypted")
    return archive


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str, most: int) -> bytes:
    """Return the content of a member.  Raises `DocumentError` for more than `most` bytes."""
    try:
        with archive.open(member) as file:
            content = file.read(most + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
    ) as e:
        raise DocumentError(f"{where}: the archive is damaged: {e}") from None
    if len(content) > most:
        raise DocumentError(f"{where}: the archive unpacks to more than {MAX_TOTAL_BYTES} bytes")
    return content


def _rewritten(archive: zipfile.ZipFile, name: str, changed: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    total = 0
    with zipfile.ZipFile(out, "w") as written:
        for member in archive.infolist():
            content = changed.get(member.filename)
            if content is None:
                where = f"{name}: {member.filename}"
                content = _content(archive, member, where, MAX_TOTAL_BYTES - total)
            total += len(content)
            written.writestr(_copied(member), content)
    return out.getvalue()


def _copied(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return the description of a member for another archive."""
    known = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    copy = zipfile.ZipInfo(member.filename, member.date_time)
    copy.compress_type = member.compress_type if member.compress_type in known else known[1]
    copy.external_attr, copy.create_system = member.external_attr, member.create_system
    copy.comment = member.comment
    return copy
