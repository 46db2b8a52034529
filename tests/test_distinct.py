"""Lists of translations: cut and repeated translations have marks, and may be left out."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import int8ref
from int8ref import Options
from tests.helpers.processes import Command, run

LINES = ["The cat sat on the mat.", "", "a", "We like to eat red fish; do you?", "O sol nasceu"]
TEXT = "".join(f"{line}\n" for line in LINES).encode()


@pytest.fixture
def tiny(tiny_file: Path) -> Command:
    command: Command = [sys.executable, "-m", "int8ref.translate", "-m", tiny_file]
    return [*command, "--backend", "reference"]


@pytest.fixture(scope="module")
def translator(tiny_file: Path) -> int8ref.Translator:
    return int8ref.load(tiny_file, "reference")


def test_marks_are_features_of_moses_and_members_of_json(tiny: Command) -> None:
    options = ["-b", "64", "--n-best", "64", "--max-length", "2"]
    _, out, _ = run([*tiny, *options], TEXT)
    _, told, _ = run([*tiny, *options, "--output-format", "json"], TEXT)
    found = [t for line in told.splitlines() for t in json.loads(line)["translations"]]
    texts: set[tuple[str, str]] = set()
    marks = set()
    for line, translation in zip(out.decode().splitlines(), found, strict=True):
        number, text, features, score = line.split(" ||| ")
        name, value, *more = features.split()
        assert name == "F0="
        assert Decimal(value) == Decimal(str(translation["log_probability"]))
        assert Decimal(score) == Decimal(str(translation["score"]))
        named = dict(zip(more[::2], more[1::2], strict=True))
        assert named.pop("Cut=", "0") == str(int(not translation["complete"]))
        repeated = named.pop("Repeated=", "0")
        assert repeated == str(int((number, text) in texts))
        assert (repeated == "1") == ("repeated" in translation)
        assert named == {}
        texts.add((number, text))
        marks.add((translation["complete"], repeated))
    assert {(True, "0"), (False, "0"), (False, "1")} <= marks, "all of them occur"


def test_a_cut_one_is_marked_in_text_too(tiny: Command) -> None:
    _, out, _ = run([*tiny, "--scores", "--max-length", "1"], b"The cat sat on the mat.\n")
    assert " Cut= 1 ||| " in out.decode()


@pytest.mark.parametrize("options", [{"beam_size": 64}, {"temperature": 3, "seed": 4}])
def test_distinct_is_what_is_left_without_the_repeated(
    translator: int8ref.Translator, options: dict[str, int]
) -> None:
    """The list has the n best texts of the beam, each with its best translation."""
    most = 64
    everything = translator.translate(
        LINES[2:],
        Options(**options, n_best=most, max_length=2, scores=True),  # type: ignore[arg-type]
    )
    repeated = 0
    for place, result in enumerate(everything):
        first = {t.text: t for t in reversed(result.translations)}
        wanted = [t for t in result.translations if first[t.text] is t]
        repeated += len(result.translations) - len(wanted)
        for n in (3, most):
            chosen = Options(**options, n_best=n, max_length=2, scores=True, distinct=True)  # type: ignore[arg-type]
            found = translator.translate(LINES[2:], chosen)[place].translations
            drawn = len(found) if "seed" in options else n
            assert list(found) == wanted[:drawn]
    assert repeated > 3


def test_the_command(tiny: Command) -> None:
    options = ["-b", "64", "--n-best", "64", "--max-length", "2", "--distinct"]
    status, out, errors = run([*tiny, *options], TEXT)
    assert (status, errors) == (0, "")
    rows = [tuple(line.split(" ||| ")[:2]) for line in out.decode().splitlines()]
    assert len(rows) == len(set(rows))
    assert "Repeated=" not in out.decode()
    _, signature, _ = run([*tiny, *options, "--signature"])
    assert b"|distinct:yes" in signature
    status, _, errors = run([*tiny, "--distinct"])
    assert (status, "--distinct does nothing without --n-best" in errors) == (2, True)
