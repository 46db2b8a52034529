"""The service: texts of several sentences, HTML, and files, as `int8ref.document` has them."""

from __future__ import annotations

import io
import json
import re
import urllib.request
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from int8ref import Options, Translator
from int8ref.documents import FORMATS, translate_bytes, translate_html, translate_text
from tests.helpers.models import SENTENCES
from tests.helpers.served_models import TRANSLATORS, files
from tests.helpers.services import Service, serving

pytest.importorskip("uvicorn", reason="the extra serve is absent")
pytest.importorskip("sentencex", reason="the extra documents is not installed")
PARAGRAPH = " ".join(SENTENCES[:3])
TEXT = f"{PARAGRAPH}\n\n  {PARAGRAPH} \U0001f600\r\n" + "The cat " * 400
HTML = (
    "<h1>The cat</h1>\n<p>The <b>cat</b> sat. We <i>like</i> red <br/>fish {name}.</p><pre>a</pre>"
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
FILES = {
    "a.txt": TEXT.encode(),
    "a.md": b"# The cat\n\n* We like **red** fish.\n\n```\ncode\n```\n",
    "a.HTML": HTML.encode(),
    "a.srt": b"1\n00:00:01,000 --> 00:00:02,000\nThe cat sat.\n",
    "a.po": b'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    b'msgid "The cat"\nmsgstr ""\n',
}


def word() -> bytes:
    out = io.BytesIO()
    text = f"<w:r><w:t>{SENTENCES[0]}</w:t></w:r>"
    with zipfile.ZipFile(out, "w") as archive:
        body = f'<w:document xmlns:w="{WORD}"><w:body><w:p>{text}</w:p></w:body></w:document>'
        archive.writestr("word/document.xml", body)
        archive.writestr("word/media/image.png", b"png")
    return out.getvalue()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    paths = files(tmp_path_factory.mktemp("models"))
    options = [f"-m{paths[name]}" for name in TRANSLATORS]
    limits = ["--max-file=20000", "--max-downloads=30000", "--max-texts=40", "--threads=2"]
    with serving(*options, *limits) as found:
        yield found


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(TRANSLATORS["tiny-translation"])


def translated(service: Service, q: Any, **given: Any) -> Any:
    asked = {"q": q, "source": "en", "target": "pt", **given}
    return service.json("/translate", asked)


def test_a_text_of_any_length_is_translated_whole(service: Service, translator: Translator) -> None:
    """It has more sentences than one request may have lines."""
    assert translated(service, TEXT) == {"translatedText": translate_text(translator, TEXT)}
    assert len(translator.translate("The cat " * 400).source_tokens) < 800  # a line would be cut


def test_html(service: Service, translator: Translator) -> None:
    wanted = translate_html(translator, HTML)
    assert translated(service, [HTML, "<p>x"], format="html")["translatedText"][0] == wanted
    found = translated(service, HTML, format="html", alternatives=2)
    assert re.findall("<[^>]+>", found["alternatives"][0])[:2] == ["<h1>", "</h1>"]
    several = Options(beam_size=3, n_best=3, distinct=True, copy_unknown=True)
    assert found["translatedText"] == translate_html(translator, HTML, several)
    assert found["alternatives"][0] != found["translatedText"]


def test_alternatives_of_several_sentences(service: Service, translator: Translator) -> None:
    found = translated(service, PARAGRAPH, alternatives=2)
    options = Options(beam_size=3, n_best=3, distinct=True, copy_unknown=True)
    lists = [
        [one.text for one in result.translations]
        for result in translator.translate(list(SENTENCES[:3]), options)
    ]
    wanted = [
        " ".join(some[min(rank, len(some) - 1)] for some in lists)
        for rank in range(max(map(len, lists)))
    ]
    assert [found["translatedText"], *found["alternatives"]] == wanted


# Files.


def sent(service: Service, name: str, content: bytes, source: str = "en") -> tuple[int, Any]:
    """Send a file as clients of LibreTranslate send it."""
    fields = {"source": source, "target": "pt", "api_key": ""}
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = b"".join([*parts, head.encode(), content, b"\r\n--x--\r\n"])
    form = "multipart/form-data; boundary=x"
    status, _, answer = service.ask("/translate_file", body, content_type=form)
    return status, json.loads(answer)


def loaded(address: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(address) as answer:
        return answer.read(), answer.headers


@pytest.mark.parametrize("name", FILES)
def test_files_are_those_of_the_command(
    service: Service, translator: Translator, name: str
) -> None:
    form = {"txt": "text", "md": "markdown"}.get(name[2:], name[2:].lower())
    status, answer = sent(service, name, FILES[name])
    assert status == 200
    content, headers = loaded(answer["translatedFileUrl"])
    assert content == translate_bytes(translator, FILES[name], form)
    assert headers["content-disposition"] == f"attachment; filename*=UTF-8''a.pt.{name[2:]}"
    assert headers["content-type"] == "application/octet-stream"


def test_an_archive_and_a_detected_language(service: Service, translator: Translator) -> None:
    content = word()
    _, answer = sent(service, "a.docx", content, "auto")
    found, _ = loaded(answer["translatedFileUrl"])
    assert found == translate_bytes(translator, content, "docx")
    assert zipfile.ZipFile(io.BytesIO(found)).read("word/media/image.png") == b"png"


def test_names_of_files_are_no_paths(service: Service) -> None:
    status, answer = sent(service, "../../etc/passw\u00e9.txt", b"The cat")
    assert (status, set(answer)) == (200, {"translatedFileUrl"})
    content, headers = loaded(answer["translatedFileUrl"])
    assert headers["content-disposition"].endswith("UTF-8''passw%C3%A9.pt.txt")
    for path in (
        "/download_file/..%2f..%2fetc%2fpasswd",
        "/download_file/x.txt",
        "/download_file/",
    ):
        assert service.ask(path)[0] == 404
    path = answer["translatedFileUrl"].removeprefix(service.address)
    assert service.ask(path, host="example.org")[2] == content


def test_the_formats_are_told(service: Service) -> None:
    settings = service.json("/frontend/settings")
    assert settings["filesTranslation"] is True
    wanted = [ending for _, endings in FORMATS.values() for ending in endings]
    assert settings["supportedFilesFormat"] == wanted


@pytest.mark.parametrize(
    ("name", "content", "status", "told"),
    [
        ("a.exe", b"", 400, "says no format: .txt"),
        ("a.docx", b"PK", 400, "not a ZIP archive"),
        ("a.txt", b"caf\xe9", 400, "not text in utf-8"),
        ("a.txt", b"x" * 20001, 413, "more than 20000 bytes"),
        ("a.txt", b"x" * 200001, 413, "bytes"),
        ("a.po", b"/etc/passwd", 400, "no catalogue"),
        ("a.xlf", b'<!DOCTYPE a [<!ENTITY b "c">]><a/>', 400, "entities"),
    ],
)
def test_errors_of_files(
    service: Service, name: str, content: bytes, status: int, told: str
) -> None:
    found, answer = sent(service, name, content)
    assert found == status
    assert told in answer["error"]


def test_waiting_files_are_limited(service: Service) -> None:
    """Last, because the files stay."""
    found = [sent(service, "a.txt", b"1" * 9000) for _ in range(4)]
    assert found[-1][0] == 503
    assert "files are waiting" in found[-1][1]["error"]
