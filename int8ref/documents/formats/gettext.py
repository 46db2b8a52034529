"""Catalogues of gettext (.po, .pot), read and written by polib.

Messages that have a translation keep it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from int8ref.documents.errors import DocumentError, required
from int8ref.documents.format import Opened
from int8ref.documents.inline import Segment, visible
from int8ref.documents.markup import encoded

WIDTH = 79
"""Greatest width of the lines of gettext.  A catalogue with wider lines is written unwrapped."""
NO_PATH = "\n" * (1 << 15)
"""The end of a text that makes it longer than any path."""


def read(content: bytes, name: str) -> Opened:
    """Open a catalogue."""
    polib: Any = required("polib")
    encoding = "utf-8"
    try:
        encoding = polib.detect_encoding(content.replace(b"\0", b""))
        text = content.decode(encoding).removeprefix("\ufeff").replace("\r\n", "\n")
        wide = any(len(line) > WIDTH + 1 for line in text.split("\n"))
        # polib takes a text for a path if such a file exists, but this text is longer than any path
        catalogue = polib.pofile(text + NO_PATH, wrapwidth=0 if wide else WIDTH - 1)
    except LookupError:
        raise DocumentError(f"{name}: the encoding {encoding!r} is unknown") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DocumentError(f"{name}: no catalogue of gettext: {error}") from None
    places: list[tuple[Any, int | None]] = []
    documents: list[list[str | Segment]] = []
    for entry in catalogue:
        if entry.obsolete or entry.translated() or entry.msgstr:
            continue
        forms = [(None, entry.msgid)]
        if entry.msgid_plural:
            numbers = sorted(entry.msgstr_plural or {0: "", 1: ""})
            forms = [(n, entry.msgid if n == 0 else entry.msgid_plural) for n in numbers]
        for number, message in forms:
            places.append((entry, number))
            documents.append([Segment([message], visible)])

    def finish(texts: Sequence[str]) -> bytes:
        for (entry, number), text in zip(places, texts, strict=True):
            if number is None:
                entry.msgstr = text
            else:
                entry.msgstr_plural[number] = text
        written = f"{catalogue}"
        if not catalogue.header:  # polib writes an empty comment, and an empty header
            written = written.removeprefix("#\n")
        if not catalogue.metadata:
            written = written.removeprefix('msgid ""\nmsgstr ""\n\n')
        return encoded(written, encoding, "strict")

    return Opened(documents, finish)
