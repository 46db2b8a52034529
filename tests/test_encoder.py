"""Embeddings and labels of texts: equal on both engines, for all batches and threads, and with the
commands."""

from __future__ import annotations

import json
import pickle
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import int8ref
from int8ref import Encoder, LanguageModel, Speed, Translator, UserError, classify, embed, translate
from int8ref.errors import WrongTypeError
from int8ref.files.model_file import Model, save
from int8ref.reference.log_softmax import log_softmax
from tests.helpers.builder import POSITIONS
from tests.helpers.encoders import LABELS, LENGTH, WIDTH, build_encoder
from tests.helpers.machine_text import machine_text
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import start

MODELS: dict[str, Model] = {"embed": build_encoder(), "classify": build_encoder("labels")}
LONG = "the cat sat on the mat " * 20
TEXTS = [*SENTENCES, "", "The", "  ", "a \N{SNOWMAN} b", *SENTENCES[::-1]]


def encoder(kind: str, backend: Any = "reference", speed: Speed = Speed()) -> Encoder:  # noqa: B008
    machine_text()
    return Encoder(MODELS[kind], backend, speed)


def test_embeddings_are_the_same_for_all_backends_batches_and_threads() -> None:
    wanted = encoder("embed").embed(TEXTS)
    assert (wanted.dtype, wanted.shape) == (np.int8, (len(TEXTS), WIDTH))
    for speed in (Speed(1, 1, 1), Speed(3, 2), Speed(64, 2, 5)):
        for backend in ("reference", "compiled"):
            np.testing.assert_array_equal(encoder("embed", backend, speed).embed(TEXTS), wanted)
    one = encoder("embed", "compiled").embed(TEXTS[0])
    np.testing.assert_array_equal(one, wanted[0])
    assert encoder("embed").embed([]).shape == (0, WIDTH)


def test_classifications_are_the_same_for_all_backends_batches_and_threads() -> None:
    wanted = encoder("classify").classify(TEXTS)
    assert [one.text for one in wanted] == TEXTS
    for speed in (Speed(1, 1, 1), Speed(3, 2), Speed(64, 2, 5)):
        assert encoder("classify", "compiled", speed).classify(tuple(TEXTS)) == wanted
    assert encoder("classify", "compiled").classify(TEXTS[3]) == wanted[3]


def test_log_probabilities_are_those_of_the_logits() -> None:
    made = encoder("classify")
    ids = made.model.program.frame.around(made._tokenizer.encode(TEXTS[0]))
    logits = made._engine.outputs([ids])
    softmax = made.model.program.softmax
    found = made.classify(TEXTS[0])
    assert found.labels == LABELS == made.labels
    assert list(found.log2) == log_softmax(logits, softmax.multiplier, softmax.shift)[0].tolist()
    assert found.label == LABELS[int(logits[0].argmax())]


def test_logits_of_labels_may_have_a_soft_cap() -> None:
    model = MODELS["classify"]
    cap = {"cap_multiplier": 1 << 20, "cap_shift": 12}
    softmax = msgspec.structs.replace(model.program.softmax, **cap)
    program = msgspec.structs.replace(model.program, log_softmax=softmax)
    plain, capped = (
        Encoder(model, "reference"),
        Encoder(replace(model, program=program), "reference"),
    )
    ids = program.frame.around(plain._tokenizer.encode(TEXTS[0]))
    logits = plain._engine.outputs([ids])
    found = capped.classify(TEXTS[0])
    assert found.log2 != plain.classify(TEXTS[0]).log2
    assert list(found.log2) == softmax.of(logits)[0].tolist()
    total = sum(2 ** (Decimal(log2) / 2**20) for log2 in found.log2)
    assert abs(total - 1) < Decimal("1e-4")
    assert all(isinstance(x, Decimal) and x <= 0 for x in found.log_probabilities)


def test_dot_products_are_cosines() -> None:
    made = encoder("embed")
    assert made.length == LENGTH
    vectors = made.embed(TEXTS)
    exact = vectors.astype(object) @ vectors.astype(object).T
    found = made.dot_products(vectors, vectors)
    assert found.dtype == np.int32
    assert (found == exact).all()
    for wrong in (vectors.astype(np.int16), vectors[0], vectors[:, :3], [1]):
        with pytest.raises(WrongTypeError):
            made.dot_products(wrong, vectors)


def test_results_tell_what_was_cut_and_what_is_unknown() -> None:
    told: list[str] = []
    found = [one for batch in encoder("embed").embeddings([LONG, "a \N{SNOWMAN} b"], told.append)
             for one in batch]  # fmt: skip
    assert [one.truncated for one in found] == [True, False]
    assert found[0].tokens == POSITIONS
    assert [text for _, text in found[1].unknown] == ["\N{SNOWMAN}"]
    assert len(told) == 1
    assert told[0].startswith("line 1: only the first 62 of")


def test_errors() -> None:
    with pytest.raises(UserError, match="gives embeddings: it labels no texts"):
        encoder("embed").classify("a")
    with pytest.raises(UserError, match="labels texts: it gives no embeddings"):
        encoder("classify").embed("a")
    for wrong in (3, b"a", [3], {"a"}):
        with pytest.raises(WrongTypeError):
            encoder("embed").embed(wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="half a surrogate"):
        encoder("embed").embed("\ud800")
    with pytest.raises(UserError, match="tiny translates: it neither embeds nor classifies"):
        Encoder(build_tiny_model())
    with pytest.raises(UserError, match="continues texts: it neither embeds nor classifies"):
        Encoder(build_tiny_model(4, "decoder"))
    with pytest.raises(UserError, match="an encoder alone: it writes no texts"):
        LanguageModel(MODELS["embed"])
    with pytest.raises(UserError, match="an encoder alone, which translates nothing"):
        Translator(MODELS["embed"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the models."""
    machine_text()
    path = tmp_path_factory.mktemp("encoders")
    for kind, model in MODELS.items():
        save(path / f"{kind}.safetensors", model)
    (path / "lines.txt").write_text("".join(f"{text}\n" for text in TEXTS), "utf-8")
    return path


def test_load_gives_an_encoder(folder: Path) -> None:
    made = int8ref.load(folder / "embed.safetensors")
    assert isinstance(made, Encoder)
    again = pickle.loads(pickle.dumps(made))
    np.testing.assert_array_equal(again.embed(TEXTS), made.embed(TEXTS))


Streams = pytest.CaptureFixture[str]


def called(kind: str, arguments: list[Any], streams: Streams) -> tuple[int, str, str]:
    """Run a command in this process.  Return exit status, stdout and stderr."""
    main = {"embed": embed.main, "classify": classify.main, "translate": translate.main}[kind]
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:
        status = int(str(end.code))
    found = streams.readouterr()
    assert "Traceback" not in found.err
    return status, found.out, found.err


def test_the_command_that_embeds(folder: Path, tmp_path: Path, capfd: Streams) -> None:
    wanted = encoder("embed").embed(TEXTS)
    given = ["-m", folder / "embed.safetensors", "-i", folder / "lines.txt"]
    status, found, _ = called("embed", given, capfd)
    told = [json.loads(line) for line in found.splitlines()]
    assert status == 0
    assert [one["id"] for one in told] == [*range(len(TEXTS))]
    assert [one["text"] for one in told] == TEXTS
    assert {one["length"] for one in told} == {LENGTH}
    assert [one["embedding"] for one in told] == wanted.tolist()
    for options in ([], ["--threads", "2", "--batch-size", "3"], ["--backend", "reference"]):
        out = tmp_path / "vectors.npy"
        status, *_ = called("embed", [*given, "-o", out, *options], capfd)
        found_array = np.load(out)
        assert (status, found_array.dtype, found_array.flags.c_contiguous) == (0, np.int8, True)
        np.testing.assert_array_equal(found_array, wanted)


def test_a_line_is_answered_before_the_next_one_comes(folder: Path) -> None:
    wanted = encoder("embed").embed(TEXTS[:2]).tolist()
    command: list[Any] = [sys.executable, "-m", "int8ref.embed", "-m", folder / "embed.safetensors"]
    with start(command) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text, vector in zip(TEXTS, wanted, strict=False):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["embedding"] == vector
        process.stdin.close()


def test_the_command_that_classifies(folder: Path, capfd: Streams) -> None:
    wanted = encoder("classify").classify(TEXTS)
    given: list[Any] = ["-m", folder / "classify.safetensors"]
    status, found, _ = called("classify", [*given, "-i", folder / "lines.txt"], capfd)
    assert status == 0
    assert found.splitlines() == [
        f"{one.label}\t{one.log_probabilities[one.best]}" for one in wanted
    ]
    _, found, _ = called("classify", [*given, "--output-format", "json", TEXTS[1]], capfd)
    told = json.loads(found, parse_float=Decimal)
    assert told["label"] == wanted[1].label
    assert [each["label"] for each in told["labels"]] == [*LABELS]
    assert [each["log_probability"] for each in told["labels"]] == [*wanted[1].log_probabilities]


REFUSED: list[tuple[str, str, list[str], int, str]] = [
    ("embed", "embed", ["--output-format", "npy", "a"], 2, "needs --output FILE"),
    ("embed", "embed", ["-i", "lines.txt", "a"], 2, "exclude each other"),
    ("embed", "embed", ["-o", "embed.safetensors", "a"], 1, "the output is the model file"),
    ("embed", "embed", ["--strict", LONG], 1, "only the first"),
    ("embed", "embed", ["--sha256", "0" * 64, "a"], 1, "has the SHA-256"),
    ("embed", "embed", ["--output-format", "npy", "-o", "/dev/null", "a"], 1, "no pipe or device"),
    ("embed", "classify", ["a"], 1, "it gives no embeddings"),
    ("classify", "embed", ["a"], 1, "it labels no texts"),
    ("translate", "embed", ["a"], 1, "translates nothing"),
]


@pytest.mark.parametrize(("kind", "model", "options", "status", "told"), REFUSED)
def test_the_commands_refuse_what_they_cannot_do(
    kind: str,
    model: str,
    options: list[str],
    status: int,
    told: str,
    folder: Path,
    capfd: Streams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    path = folder / f"{model}.safetensors"
    before = path.read_bytes()
    found, _, errors = called(kind, ["-m", path, *options], capfd)
    assert (found, told in errors) == (status, True)
    assert path.read_bytes() == before


def test_what_the_command_tells(folder: Path, capfd: Streams) -> None:
    given = ["-m", folder / "classify.safetensors", "--stats", "a \N{SNOWMAN} b", LONG]
    status, _, told = called("classify", given, capfd)
    assert status == 0
    assert "line 2: only the first 62 of" in told
    assert "vocabulary lacks 1 character in 1 line" in told
    assert "2 lines (1 cut)" in told


def test_the_signature(folder: Path, capfd: Streams) -> None:
    given = ["-m", folder / "embed.safetensors", "--signature"]
    _, found, _ = called("embed", given, capfd)
    names = [part.partition(":")[0] for part in found.strip().split("|")]
    assert names == ["int8ref", "arithmetic", "model", "sha256", "backend"]
