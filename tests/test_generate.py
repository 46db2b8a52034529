"""Continued texts: equal on both engines, for all batches and threads, and with the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from int8ref import Continuation, LanguageModel, Options, Speed
from int8ref.errors import UserError
from int8ref.files.model_file import save
from int8ref.program.sizes import max_steps
from tests.helpers.builder import POSITIONS
from tests.helpers.machine_text import machine_text
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

MODELS = {"decoder": build_tiny_model(4, "decoder"), "rotary": build_tiny_model(9, "rotary")}
TEXTS = [*SENTENCES, "", "The", "  ", *SENTENCES[::-1]]
DRAWN = Options(temperature=1.5, top_p=0.9, seed=3, max_length=20)


def made(kind: str, options: Options, backend: Any, speed: Speed) -> list[Continuation]:
    machine_text()
    return LanguageModel(MODELS[kind], backend, speed).generate(TEXTS, options)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("options", [Options(max_length=20), DRAWN], ids=["greedy", "drawn"])
def test_neither_backend_nor_batches_nor_threads_change_it(kind: str, options: Options) -> None:
    wanted = made(kind, options, "reference", Speed(len(TEXTS)))
    assert [result.prompt for result in wanted] == TEXTS
    assert {result.complete for result in wanted} == {True, False}
    for speed in (Speed(1, 1, 1), Speed(3, 2), Speed(64, 2, 5)):
        assert made(kind, options, "compiled", speed) == wanted


@pytest.mark.parametrize("kind", MODELS)
def test_texts_end_where_the_positions_do(kind: str) -> None:
    model, told = MODELS[kind], list[str]()
    most = max_steps(model.program, model.tensors)
    assert most == POSITIONS
    reference, text = LanguageModel(model, "reference"), "a b c d e f g " * 40
    ((found,),) = reference.batches([text], Options(), told.append)
    assert found == reference.generate(text)
    assert found.truncated
    assert len(told) == 1
    assert told[0].startswith("text 1: only the last 32 of")
    assert found.complete or len(found.ids) == most - 32


def test_a_model_that_translates_is_refused() -> None:
    with pytest.raises(UserError, match="tiny-translation translates"):
        LanguageModel(build_tiny_model(6, "translation"))


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The command with its model."""
    machine_text()
    path = tmp_path_factory.mktemp("generate") / "rotary.safetensors"
    save(path, MODELS["rotary"])
    return [sys.executable, "-m", "int8ref.generate", "-m", path]


def test_the_command(command: Command, tmp_path: Path) -> None:
    options: Command = [
        "--temperature",
        "1.5",
        "--top-p",
        "0.9",
        "--seed",
        "3",
        "--max-tokens",
        "20",
    ]
    wanted = made("rotary", DRAWN, "compiled", Speed())
    given = "".join(f"{text}\n" for text in TEXTS).encode()
    status, out, told = run([*command, *options, "-q"], given)
    assert (status, told) == (0, "")
    assert out.decode().split("\n") == [*(" ".join(r.text.split("\n")) for r in wanted), ""]
    (tmp_path / "in").write_bytes(given)
    files: Command = ["-i", tmp_path / "in", "-o", tmp_path / "out", "--output-format", "json"]
    status, out, told = run([*command, *options, *files, "--stats"])
    assert (status, out) == (0, b"")
    assert "tokens/s" in told
    documents = [json.loads(line) for line in (tmp_path / "out").read_bytes().splitlines()]
    assert [d["text"] for d in documents] == [r.text for r in wanted]
    assert [d["complete"] for d in documents] == [r.complete for r in wanted]
    assert documents[3]["id"] == 3
    assert documents[3]["tokens"] == list(wanted[3].tokens)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--temperature", "-1", "a"], 2, "--temperature: temperature is '-1'"),
        (["--temperature", "0.001", "a"], 2, "by 0.01"),
        (["--top-p", "0", "a"], 2, "top_p is '0'"),
        (["--top-k", "0", "a"], 2, "0 is not between"),
        (["--seed", "-1", "a"], 2, "-1 is not between 0 and 2^63 - 1"),
        (["a", "-i", "b"], 2, "exclude each other"),
        (["-i", "/none"], 1, "/none: No such file"),
        (["--strict", "a b c " * 200], 1, "--strict ends the run"),
    ],
)
def test_what_the_command_refuses(
    command: Command, arguments: Command, status: int, message: str
) -> None:
    found, out, told = run([*command, *arguments])
    assert (found, out) == (status, b"")
    assert message in told
