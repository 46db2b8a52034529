"""Documents of each format: opened again by their own library, with the words of the translator."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

import int8ref
from int8ref.documents import FORMATS, DocumentError, format_of, translate_bytes
from tests.helpers.reversing import Reversing, reversed_words

pytest.importorskip("sentencex", reason="the extra documents is not installed")
pytest.importorskip("polib", reason="the extra documents is not installed")
pytest.importorskip("markdown_it", reason="the extra documents is not installed")

PARAGRAPHS = ["The red fox ran home.", "It saw a big dog there."]
XLIFF = '<file source-language="en"><body><trans-unit id="1"><source>{}</source>{}</trans-unit>'


def word() -> bytes:
    """Return a Word document with runs, a link, a table and a footer, by python-docx."""
    docx = pytest.importorskip("docx")
    document = docx.Document()
    paragraph = document.add_paragraph("The ")
    paragraph.add_run("red").bold = True
    paragraph.add_run(" fox ran")
    paragraph.add_run(" home.")
    document.add_table(1, 1).cell(0, 0).text = PARAGRAPHS[1]
    document.sections[0].footer.paragraphs[0].text = "a footer here"
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def words_of_word(content: bytes) -> list[str]:
    document: Any = pytest.importorskip("docx").Document(io.BytesIO(content))
    found = [document.paragraphs[0], *document.tables[0].cell(0, 0).paragraphs]
    assert [run.text for run in found[0].runs if run.bold] in (["red"], ["RED"], ["rote"])
    return [p.text for p in [*found, document.sections[0].footer.paragraphs[0]]]


def opendocument() -> bytes:
    pytest.importorskip("odf")
    from odf.opendocument import OpenDocumentText
    from odf.text import H, P, Span

    document = OpenDocumentText()
    heading = H(outlinelevel=1, text="The ")
    heading.addElement(Span(text="red"))
    heading.addText(" fox ran home.")
    document.text.addElement(heading)
    document.text.addElement(P(text=PARAGRAPHS[1]))
    out = io.BytesIO()
    document.write(out)
    return out.getvalue()


def words_of_opendocument(content: bytes) -> list[str]:
    from odf import opendocument as odf
    from odf.teletype import extractText

    document = odf.load(io.BytesIO(content))
    return [extractText(element) for element in document.text.childNodes]


def book() -> bytes:
    pytest.importorskip("ebooklib")
    from ebooklib import epub

    made = epub.EpubBook()
    made.set_title("a title")
    page = epub.EpubHtml(title="one page", file_name="page.xhtml", lang="en")
    page.content = "".join(f"<p>{text}</p>" for text in PARAGRAPHS).replace("red", "<b>red</b>")
    made.add_item(page)
    made.toc, made.spine = (page,), [page]
    made.add_item(epub.EpubNcx())
    out = io.BytesIO()
    epub.write_epub(out, made)
    return out.getvalue()


def words_of_book(content: bytes) -> list[str]:
    from ebooklib import epub

    found = epub.read_epub(io.BytesIO(content)).get_item_with_href("page.xhtml")
    return words_of_html(found.get_content())


def words_of_html(content: bytes) -> list[str]:
    tree = pytest.importorskip("html5lib").parse(
        content, namespaceHTMLElements=False, transport_encoding="utf-8"
    )
    return ["".join(element.itertext()) for element in tree.iter("p")]


def words_of_markdown(content: bytes) -> list[str]:
    library = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
    return words_of_html(library.render(content.decode()).encode())


def words_of_srt(content: bytes) -> list[str]:
    found = pytest.importorskip("srt").parse(content.decode())
    return [re.sub("<.*?>", "", cue.content).replace("\n", " ") for cue in found]


def words_of_vtt(content: bytes) -> list[str]:
    library = pytest.importorskip("webvtt")
    return [
        cue.text.replace("\n", " ") for cue in library.from_buffer(io.StringIO(content.decode()))
    ]


def words_of_po(content: bytes) -> list[str]:
    found = pytest.importorskip("polib").pofile(content.decode() + "\n")
    return [entry.msgstr or entry.msgid for entry in found]


def words_of_xliff(content: bytes) -> list[str]:
    from xml.etree import ElementTree

    tree = ElementTree.fromstring(content)
    units = [["".join(part.itertext()) for part in unit] for unit in tree.iter("trans-unit")]
    return [unit[-1] or unit[0] for unit in units]


MARKED = "The <i>red</i> fox\nran home."
HTML = f"<!DOCTYPE html>\n<p class='a'>{MARKED}</p><P>{PARAGRAPHS[1]}\n</p><pre>a b</pre>"
MARKDOWN = f"# 12\n\nThe *red* fox\nran home.\n\n{PARAGRAPHS[1]}\n\n    a block of code\n"
TIMES = ("00:00:01,000 --> 00:00:02,000", "00:00:03,000 --> 00:00:04,000")
SRT = f"1\n{TIMES[0]}\n{MARKED}\n\n2\n{TIMES[1]}\n{PARAGRAPHS[1]}\n"
VTT = "WEBVTT\n\nNOTE a b\n\n" + re.sub(r"(?m)^\d\n", "", SRT).replace(",000", ".000")
PO = "".join(f'msgid "{text}"\nmsgstr ""\n\n' for text in PARAGRAPHS)
UNITS = "".join(XLIFF.format(text, target) + "</body></file>" for text, target in [
    (MARKED.replace("i>", "g>").replace("\n", " "), ""), (PARAGRAPHS[1], "<target/>")])  # fmt: skip

Words = Callable[[bytes], list[str]]
CASES: dict[str, tuple[Callable[[], bytes], Words]] = {
    "text": (lambda: "\n\n".join(PARAGRAPHS).encode(), lambda c: c.decode().split("\n\n")),
    "html": (HTML.encode, words_of_html),
    "markdown": (MARKDOWN.encode, words_of_markdown),
    "srt": (SRT.encode, words_of_srt),
    "vtt": (VTT.encode, words_of_vtt),
    "po": (PO.encode, words_of_po),
    "xliff": (f'<xliff version="1.2">{UNITS}</xliff>'.encode, words_of_xliff),
    "docx": (word, words_of_word),
    "odt": (opendocument, words_of_opendocument),
    "epub": (book, words_of_book),
}


def normal(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("form", FORMATS)
def test_words_are_the_words_of_the_translator(form: str) -> None:
    make, words_of = CASES[form]
    content = make()
    before = [normal(text) for text in words_of(content)]
    assert before[:2] == PARAGRAPHS
    after = [normal(text) for text in words_of(translate_bytes(Reversing(), content, form))]
    assert after == [reversed_words(text) for text in before]


@pytest.mark.parametrize("form", FORMATS)
def test_words_are_the_words_of_the_command(form: str) -> None:
    """The embedded model, with the copies of the command."""
    make, words_of = CASES[form]
    translator = int8ref.load("en-de-tatoeba")
    content = make()
    options = int8ref.Options(copy_unknown=True)
    expected = [normal(r.text) for r in translator.translate(words_of(content), options)]
    found = words_of(translate_bytes(translator, content, form))
    assert [normal(text) for text in found] == expected


@pytest.mark.parametrize("form", ["docx", "odt", "epub"])
def test_members_without_text_stay(form: str) -> None:
    content = CASES[form][0]()
    translated = translate_bytes(Reversing(), content, form)
    with zipfile.ZipFile(io.BytesIO(content)) as a, zipfile.ZipFile(io.BytesIO(translated)) as b:
        assert [m.filename for m in a.infolist()] == [m.filename for m in b.infolist()]
        kinds = {m.filename: (m.compress_type, m.date_time) for m in a.infolist()}
        assert {m.filename: (m.compress_type, m.date_time) for m in b.infolist()} == kinds
        same = {name for name in kinds if a.read(name) == b.read(name)}
    assert "META-INF/manifest.xml" in same or "word/styles.xml" in same or "mimetype" in same
    assert len(same) < len(kinds)


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


UNCHANGED = {
    "text": b"1 2\r\n\r\n 3",
    "html": b"<p>1 <b>2</b><pre>a b</pre>",
    "markdown": b"# 1\r\n\r\n- *2*\r\n\r\n      a b\r\n",
    "srt": SRT.split(MARKED)[0].encode() + b"1 2",
    "po": b'msgid "a"\nmsgstr "b"\n',
    "xliff": b"<x><source>1</source><target>2</target></x>",
    "docx": zipped(("word/document.xml", b"<w:p><w:r><w:t>1 2</w:t></w:r></w:p>")),
}


@pytest.mark.parametrize("form", UNCHANGED)
def test_nothing_to_translate_is_nothing_changed(form: str) -> None:
    found = translate_bytes(Reversing(), UNCHANGED[form], form)
    if form == "docx":
        with zipfile.ZipFile(io.BytesIO(found)) as archive:
            assert archive.read("word/document.xml") == b"<w:p><w:r><w:t>1 2</w:t></w:r></w:p>"
    else:
        assert found == UNCHANGED[form]


def test_bytes_around_html_stay() -> None:
    source = b"\xef\xbb\xbf<A HREF=x>\r\n<p  Class = 'q' >a fox</p\n><br/><!-- a b -->\r\n"
    expected = source.replace(b"a fox", b"FOX A")
    assert translate_bytes(Reversing(), source, "html") == expected
    latin = "<meta charset=iso-8859-1><p>caf\u00e9 \u00e0".encode("latin-1")
    assert translate_bytes(Reversing(), latin, "html") == latin.replace(
        "caf\u00e9 \u00e0".encode("latin-1"), "\u00c0 CAF\u00c9".encode("latin-1")
    )


def test_other_parts_of_subtitles_and_catalogues() -> None:
    head = b"WEBVTT\n\nSTYLE\n::cue { a b }\n\n1\n00:01.000 --> 00:02.000 align:start\n"
    cue = head + b"<v Al>- a fox\n- b cat"
    assert translate_bytes(Reversing(), cue, "vtt") == cue.replace(
        b"- a fox\n- b cat", b"FOX A -\nCAT B -"
    )
    plural = (
        'msgid ""\nmsgstr "Language: de\\n"\n\n# c\n'
        'msgid "a cat"\nmsgid_plural "b cats"\nmsgstr[0] ""\nmsgstr[1] ""\n\n'
        'msgid "done"\nmsgstr "x"\n\n#~ msgid "old text"\n#~ msgstr ""\n'
    )
    wanted = plural.replace('[0] ""', '[0] "CAT A"').replace('[1] ""', '[1] "CATS B"')
    assert translate_bytes(Reversing(), plural.encode(), "po").decode() == wanted


MARKDOWN_CASES = {
    "a **b _c_** d": "D **_C_ B** A",
    'a [b c](x "t") d': 'D [C B](x "t") A',
    "> a b\n> c": "> C B\n> A",
    "- a `x y` b\n  - c d": "- `x y` B A\n  - D C",
    "| a b | c |\n|---|---|\n| d e | 5 |": "| B A | C |\n|---|---|\n| E D | 5 |",
    "a \\* b": "B \\* A",
    "---\ntitle: a b\n---\na b": "---\ntitle: a b\n---\nB A",
    "![a b](x)\n\n<div>a b</div>\n\n[r]: x": "![a b](x)\n\n<div>a b</div>\n\n[r]: x",
    "a [b][r] c\n\n[r]: x": "C [B][r] A\n\n[r]: x",
}


@pytest.mark.parametrize("source", MARKDOWN_CASES)
def test_markdown(source: str) -> None:
    assert (
        translate_bytes(Reversing(), source.encode(), "markdown").decode()
        == (MARKDOWN_CASES[source])
    )


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
HOSTILE = {
    "text": [(b"caf\xe9", "not text in utf-8"), (b"\xff\xfea", "not text in utf-16")],
    "html": [(b"<meta charset=rot13>", "encoding 'rot13' is unknown")],
    "po": [(b"/etc/passwd", "no catalogue"), (b'msgid "a\nmsgstr', "no catalogue")],
    "xliff": [(ENTITIES, "declares entities"), (b"<a><b></a>", "not XML"), (b"", "not XML")],
    "docx": [
        (b"PK", "not a ZIP archive"),
        (zipped(("a", b"")), "no text of this format"),
        (zipped(("word/document.xml", ENTITIES)), "word/document.xml: declares entities"),
        (zipped(("word/document.xml", b"<w:p>" * 300)), "not XML"),
        (zipped(("word/document.xml", b" " * (1 << 26) + b"<x/>")), "unpacks to more"),
    ],
    "odt": [
        (zipped(("content.xml", b"<x/>"), ("m", bytes(1 << 28))), "unpacks to more"),
        (zipped(("content.xml", b"<x/>"))[:-30], "not a ZIP archive"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [(form, *case) for form, cases in HOSTILE.items() for case in cases],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_files_are_refused(form: str, content: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        translate_bytes(Reversing(), content, form, name="file")


def test_names_of_files() -> None:
    assert format_of("a.DOCX") == "docx"
    assert format_of("a.md") == "markdown"
    assert format_of("a.exe") is None
