"""Translates documents: text, HTML, Markdown, subtitles, catalogues, office documents and books.

A format is a reader: it finds the segments of a file, and writes the file again with other texts.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from int8ref.documents.errors import DocumentError
from int8ref.documents.translator import DEFAULT_OPTIONS, Translates
from int8ref.options import Options

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from collections.abc import Callable

    from int8ref.documents.format import Opened

__all__ = [
    "DEFAULT_OPTIONS", "FORMATS", "DocumentError", "Translates", "finish", "format_of",
    "open_bytes", "translate_bytes", "translate_html", "translate_text",
]  # fmt: skip

FORMATS: dict[str, tuple[str, tuple[str, ...]]] = {
    "text": ("text", (".txt", ".text")),
    "markdown": ("markdown", (".md", ".markdown")),
    "html": ("hypertext", (".html", ".htm", ".xhtml")),
    "srt": ("subtitles", (".srt",)),
    "vtt": ("subtitles", (".vtt",)),
    "po": ("gettext", (".po", ".pot")),
    "xliff": ("xliff", (".xlf", ".xliff")),
    "docx": ("word", (".docx", ".docm", ".dotx")),
    "odt": ("opendocument", (".odt", ".ott", ".fodt")),
    "epub": ("epub", (".epub",)),
}
"""Name of a format -> its module in `formats`, and the endings of names of files."""

MAX_BYTES = 1 << 27
"""Largest size of a document."""


def format_of(name: str) -> str | None:
    """Return the format that the name of a file says, or None."""
    ending = os.path.splitext(name)[1].lower()
    return next((form for form, (_, endings) in FORMATS.items() if ending in endings), None)


def translate_text(translator: Translates, text: str, options: Options = DEFAULT_OPTIONS) -> str:
    """Translate a text of any length.

    The text is split into sentences, and the translations are joined again with the white space and
    the line breaks of the source.  Parts without letters stay as they are.  Raises the errors of
    `Translator.translate`, and `UserError` if the extra `documents` is not installed.
    """
    from int8ref.documents.inline import Segment, visible
    from int8ref.documents.translate import translate_documents

    return translate_documents(translator, [[Segment([text], visible)]], options)[0]


def translate_html(translator: Translates, text: str, options: Options = DEFAULT_OPTIONS) -> str:
    """Translate HTML.  Tags, scripts, styles and code stay.

    The alignment says where the tags within a sentence belong.  Raises the errors of
    `translate_text`, and `DocumentError` for elements that are nested too deep.
    """
    from int8ref.documents.formats.hypertext import parts
    from int8ref.documents.translate import translate_documents

    return translate_documents(translator, [parts(text)], options)[0]


def translate_bytes(
    translator: Translates,
    content: bytes,
    form: str,
    options: Options = DEFAULT_OPTIONS,
    name: str = "the document",
) -> bytes:
    """Translate the content of a file.

    form  one of `FORMATS`
    name  name of the file in messages

    Raises the errors of `translate_text`, and `DocumentError` for a file that is damaged, too
    large, or no file of the format.
    """
    from int8ref.documents.translate import translate_documents

    opened = open_bytes(content, form, name)
    return finish(opened, translate_documents(translator, opened.documents, options), name)


def open_bytes(content: bytes, form: str, name: str = "the document") -> Opened:
    """Open the content of a file.  The parameters and the errors: see `translate_bytes`."""
    if form not in FORMATS:
        raise DocumentError(f"no format {form!r}: the formats are {', '.join(FORMATS)}")
    if len(content) > MAX_BYTES:
        raise DocumentError(f"{name}: has more than {MAX_BYTES} bytes")
    module = importlib.import_module(f"int8ref.documents.formats.{FORMATS[form][0]}")
    read: Callable[[bytes, str], Opened] = module.read
    return read(content, name)


def finish(opened: Opened, texts: Sequence[str], name: str = "the document") -> bytes:
    """Return the bytes of a file with translated texts.  Raises `DocumentError`."""
    try:
        return opened.finish(texts)
    except UnicodeEncodeError as error:
        told = f"{name}: its encoding {error.encoding} lacks {error.object[error.start]!r}"
        raise DocumentError(f"{told}: convert the file to UTF-8") from None
