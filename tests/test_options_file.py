"""Options from a file: one option a line, in the place of the name of the file."""

from __future__ import annotations

import os
import shlex
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref import translate
from int8ref.commands.options_file import MAX_BYTES, OptionsFileError, expanded
from weights_import.arguments import parser as import_parser


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "options.txt"


def refusal(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the error of a command line."""
    with pytest.raises(SystemExit) as end:
        translate.parser().parse_args(arguments)
    assert end.value.code == 2
    (*usage, line) = capfd.readouterr().err.splitlines()
    assert usage[0].startswith("usage: ")
    return line.removeprefix("python -m int8ref.translate: error: ")


def test_a_line_is_an_option(options: Path) -> None:
    options.write_text(
        "\ufeff# the usual options\r\n\n  --beam-size 4  # four\n--n-best=2\n"
        "--target-prefix 'Bom # dia'\n--strict\n-m \"a b\"\n"
    )
    found = translate.parser().parse_args(["@options.txt", "a text"])
    wanted = ["--beam-size", "4", "--n-best=2", "--target-prefix=Bom # dia", "--strict"]
    assert found == translate.parser().parse_args([*wanted, "-m", "a b", "a text"])


def test_later_options_replace_earlier_options(options: Path) -> None:
    options.write_text("--beam-size 4\n")
    read = translate.parser().parse_args
    assert read(["@options.txt", "-b", "2"]).beam_size == 2
    assert read(["-b", "2", "@options.txt"]).beam_size == 4


def test_a_text_may_begin_with_the_mark(options: Path) -> None:
    given = translate.parser().parse_args(["--target-prefix=@a", "--", "@b", "--", "@c"])
    assert given.target_prefix == "@a"
    assert [text for text in given.text if text != "--"] == ["@b", "@c"]


def test_required_options_may_be_in_a_file(options: Path) -> None:
    options.write_text("--output x.safetensors\n--residual 8\n")
    found = import_parser().parse_args(["@options.txt", "checkpoint"])
    assert (found.output, found.residual) == (Path("x.safetensors"), 8)


WRONG = {
    "--beam-size 99": "argument -b/--beam-size: 99 is not between 1 and 64",
    "--beam-size": "argument -b/--beam-size: expected one argument",
    "--no-such 1": "--no-such 1 is not one option of python -m int8ref.translate",
    "--strict --stats": "--strict --stats is not one option of python -m int8ref.translate",
    "-b 2 -m x": "-b 2 -m x is not one option of python -m int8ref.translate",
    "--strict text": "--strict text is not one option of python -m int8ref.translate",
    "a text": "'a' is no option",
    "@other.txt": "'@other.txt' is no option",
    "--": "'--' is no option",
    "--target-prefix 'x": "No closing quotation",
}


@pytest.mark.parametrize("line", WRONG)
def test_an_error_names_the_file_and_the_line(
    options: Path, line: str, capfd: pytest.CaptureFixture[str]
) -> None:
    options.write_text(f"# a comment\n{line}\n--strict\n")
    told = refusal(capfd, "@options.txt", "a text")
    assert told == f"options.txt: line 2: {WRONG[line]}"


def test_a_file_that_cannot_be_read(options: Path, capfd: pytest.CaptureFixture[str]) -> None:
    advice = "put -- before a text that begins with @"
    told = refusal(capfd, "@user says")
    assert told.startswith("@user says names a file of options, which cannot be read: ")
    assert told.endswith(advice)
    assert "No such file" in told
    options.write_bytes(b"--strict\n\xff\n")
    assert "line 2 is not UTF-8" in refusal(capfd, "@options.txt")
    options.write_bytes(b"#\n" * MAX_BYTES)
    assert refusal(capfd, "@options.txt") == f"options.txt: more than {MAX_BYTES} bytes of options"
    assert "directory" in refusal(capfd, f"@{options.parent}")
    if os.path.exists("/dev/zero"):
        assert refusal(capfd, "@/dev/zero")


WORDS = st.text(string.printable.replace("\n", "").replace("\r", ""), min_size=1)


@given(words=st.lists(WORDS, max_size=4), before=st.lists(WORDS.filter(lambda w: w[0] != "@")))
def test_quoted_words_are_read_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], before: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "quoted.txt"
    lines = [shlex.join([f"--o{place}", word]) for place, word in enumerate(words)]
    path.write_text("\n".join(lines), newline="")
    seen: list[list[str]] = []
    found = expanded([*before, f"@{path}", "--", "@x"], seen.append)
    if "--" in before:
        assert found == [*before, f"@{path}", "--", "@x"]
    else:
        pairs = [[f"--o{place}", word] for place, word in enumerate(words)]
        assert seen == pairs
        assert found == [*before, *(word for pair in pairs for word in pair), "--", "@x"]


def test_the_error_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(OptionsFileError, match="which cannot be read"):
        expanded([f"@{tmp_path / 'none'}"], lambda words: None)
