"""Options without an effect are errors, in the commands and in Python."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from int8ref import Options, Translator
from int8ref.files.model_file import save
from int8ref.options import OptionError
from tests.helpers.models import build_tiny_model
from tests.helpers.processes import Command, run

MODEL = build_tiny_model(2)
PLAIN = replace(MODEL, program=changed(MODEL.program, alpha=0))
"""A model whose own exponent is 0, as in imported Marian models."""


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("translate", ["--seed", "0"], "--seed does nothing without --temperature"),
        ("translate", ["--top-k", "5"], "--top-k does nothing without --temperature"),
        ("translate", ["--top-p", "1"], "--top-p does nothing without --temperature"),
        ("translate", ["--seed", "3", "--temperature", "0"], "--seed does nothing"),
        ("generate", ["--seed", "0"], "--seed does nothing without --temperature"),
        ("generate", ["--top-k", "5"], "--top-k does nothing without --temperature"),
        ("generate", ["--top-p", "0.5"], "--top-p does nothing without --temperature"),
        ("translate", ["--alpha", "1", "--normalization", "none"], "--alpha does nothing with"),
        ("score", ["--alpha", "1"], "--alpha does nothing with --normalization none"),
        (
            "translate",
            ["--normalization", "length", "--alpha", "0"],
            "--normalization length does nothing with --alpha 0",
        ),
        ("score", ["--normalization", "gnmt", "--alpha", "0"], "does nothing with --alpha 0"),
    ],
)
def test_wrong_usage(name: str, arguments: list[str], why: str) -> None:
    command: Command = [sys.executable, "-m", f"int8ref.{name}", "-m", "/none", *arguments]
    status, out, errors = run(command)
    assert (status, out) == (2, b"")
    assert "error: " in errors.splitlines()[-1]
    assert why in errors.splitlines()[-1]


@pytest.mark.parametrize("name", ["translate", "score"])
def test_wrong_for_the_model(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.safetensors"
    save(path, PLAIN)
    command: Command = [sys.executable, "-m", f"int8ref.{name}", "-m", path]
    command += ["--backend", "reference", "--normalization", "length"]
    why = 'the normalization "length" does nothing with an alpha of 0: give another alpha'
    (tmp_path / "out").write_text("before")
    status, out, errors = run([*command, "-o", tmp_path / "out"], b"a\ta\n")
    assert (status, out) == (2, b"")
    assert errors.startswith(f"int8ref: error: model tiny: {why}")
    assert (tmp_path / "out").read_text() == "before"
    assert run([*command, "--alpha", "1"], b"a\ta\n")[0] == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"top_k": 5}, "top_k does nothing without temperature"),
        ({"top_p": 0.5}, "top_p does nothing without temperature"),
        ({"seed": 1}, "seed does nothing without temperature"),
        (
            {"normalization": "none", "alpha": 0.6},
            'alpha does nothing with the normalization "none"',
        ),
        ({"normalization": "length", "alpha": 0}, '"length" does nothing with an alpha of 0'),
        ({"normalization": "gnmt", "alpha": "0.00"}, '"gnmt" does nothing with an alpha of 0'),
    ],
)
def test_python(options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        Options(**options)


def test_python_knows_the_model() -> None:
    translator = Translator(PLAIN, "reference")
    for normalization in ("length", "gnmt"):
        options = Options(normalization=normalization)  # type: ignore[arg-type]
        for wrong in (
            lambda: translator.translate("a", options),  # noqa: B023
            lambda: translator.stream(["a"], options),  # noqa: B023
            lambda: translator.score("a", "a", options),  # noqa: B023
            lambda: translator.stream_scores([("a", "a")], options),  # noqa: B023
        ):
            with pytest.raises(
                OptionError, match=r"model tiny: .* does nothing with an alpha of 0"
            ):
                wrong()


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0, "top_p": "1", "seed": 0},
        {"top_p": 1.0},
        {"normalization": "none"},
        {"normalization": "none", "alpha": 0},
        {"alpha": 0},
        {"alpha": 0.6},
        {"distinct": True},
        {"temperature": 1, "top_k": 5, "top_p": 0.5, "seed": 3},
    ],
)
def test_what_says_nothing_or_something_is_taken(options: dict[str, Any]) -> None:
    assert Translator(PLAIN, "reference").translate("The cat", Options(**options)).text is not None
