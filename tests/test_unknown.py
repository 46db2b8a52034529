"""Characters that the vocabulary lacks: counted, reported once a run, and marked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import int8ref
from int8ref.files.model_file import save
from int8ref.translation.unknown import UnknownCharacters
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

LINES = [
    "The cat",
    "The \U0001f408\U0001f408 {sat}",
    "",
    "a@b \U0001f408",
    "tab\tand\0nul\u2028end",
]
TEXT = "".join(f"{line}\n" for line in LINES).encode()
TOLD = (
    "int8ref: the model's vocabulary lacks 6 characters in 2 lines, each is read as unknown:"
    " \U0001f408 { } @\n"
)


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    command: Command = [sys.executable, "-m", "int8ref.translate", "-m", tiny_file]
    return [*command, "--backend", "reference"]


def marked(document: dict[str, object], tokens: str, unknown: str) -> list[tuple[str, str]]:
    """Return the marked tokens with their texts."""
    names = document[tokens]
    assert isinstance(names, list)
    places = document.get(unknown, [])
    assert isinstance(places, list)
    return [(names[place], text) for place, text in places]


def test_once_a_run_and_in_json(tiny: Command) -> None:
    status, out, errors = run([*tiny, "--output-format", "json", "--batch-size", "1"], TEXT)
    assert (status, errors) == (0, TOLD)
    documents = [json.loads(line) for line in out.splitlines()]
    assert [marked(d, "source_tokens", "source_unknown") for d in documents] == [
        [],
        [("<unk>", "\U0001f408\U0001f408"), ("<unk>", "{"), ("<unk>", "}")],
        [],
        [("<unk>", "@"), ("<unk>", "\U0001f408")],
        [("<unk>", "\t"), ("<unk>", "\0"), ("<unk>", "\u2028")],
    ]
    assert "source_unknown" not in documents[0]
    assert run([*tiny, "-q"], TEXT)[2] == ""


def test_told_before_an_error_too(tiny: Command) -> None:
    status, _, errors = run(tiny, TEXT + b"\xff\n")
    assert status == 1
    assert errors.startswith(TOLD + "int8ref: error: line 6 is not UTF-8")


def test_no_word_where_the_vocabulary_has_all(tiny: Command) -> None:
    assert run(tiny, b"The cat sat.\n\ttab\0nul\xe2\x80\xa8\n")[2] == ""


def test_of_given_translations(tiny: Command) -> None:
    score: Command = [tiny[0], "-m", "int8ref.score", *tiny[3:], "--output-format", "json"]
    status, out, errors = run(score, b"The {cat\tO {gato}\n")
    document = json.loads(out)
    assert marked(document, "source_tokens", "source_unknown") == [("<unk>", "{")]
    assert marked(document, "tokens", "unknown") == [("<unk>", "{"), ("<unk>", "}")]
    assert (status, "lacks 3 characters in 1 line," in errors) == (0, True)


def test_of_what_is_cut_only_what_is_read(tiny_file: Path) -> None:
    translator = int8ref.load(tiny_file, "reference")
    result = translator.translate("the { cat sat " + "the cat } sat " * 40)
    assert result.truncated
    assert result.unknown[0][1] == "{"
    assert all(result.source_tokens[place] == "<unk>" for place, _ in result.unknown)
    assert int8ref.load(tiny_file, "reference").translate("The cat").unknown == ()


def test_the_other_commands_tell_it(tiny: Command, tmp_path: Path) -> None:
    model = tmp_path / "decoder.safetensors"
    save(model, build_tiny_model(4, "decoder"))
    few: Command = ["-m", model, "--backend", "reference"]
    generate: Command = [*tiny[:2], "int8ref.generate", *few, "--max-tokens", "3"]
    _, out, errors = run([*generate, "--output-format", "json"], b"The {cat}\nThe\n")
    assert "lacks 2 characters in 1 line," in errors
    documents = [json.loads(line) for line in out.splitlines()]
    assert [[text for _, text in d.get("unknown", [])] for d in documents] == [["{", "}"], []]
    _, _, errors = run([*tiny[:2], "int8ref.perplexity", *few], b"The {cat}\nThe @\n")
    assert "lacks 3 characters in 2 lines," in errors
    vectors: Command = [*tiny[:2], "int8ref.vectors", *tiny[3:], "-o", tmp_path / "v.npz"]
    _, _, errors = run([*vectors, "The {cat}"])
    assert "lacks 2 characters in 1 line," in errors


def test_few_are_shown_of_many() -> None:
    told: list[str] = []
    unknown = UnknownCharacters()
    for character in "abcdefghij":
        unknown.add(((0, character * 2),))
    unknown.tell(told.append)
    assert told[0].endswith(
        "20 characters in 10 lines, each is read as unknown: a b c d e f g h ..."
    )
