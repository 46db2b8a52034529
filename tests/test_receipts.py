"""Receipts: the same bytes in every way of computing, true digests, verified by a second run."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from int8ref import Options, Translator, classify, embed, generate, translate, verify
from int8ref.commands import receipt as form
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, model_hash, save
from int8ref.program.sizes import longest_translation
from int8ref.spec import arithmetic
from int8ref.translation.worker import tokenizers
from tests.fuzz import flips
from tests.helpers import receipts as schema
from tests.helpers.encoders import build_encoder
from tests.helpers.machine_text import machine_text
from tests.helpers.many_languages import speaking
from tests.helpers.models import SENTENCES, build_tiny_model
from tests.helpers.processes import Command, run

TEXTS = [*SENTENCES[:4], "", "The cat", "  "]
MODULES = {
    "translate": translate,
    "generate": generate,
    "embed": embed,
    "classify": classify,
}
RUNS: dict[str, tuple[str, list[str]]] = {
    "greedy": ("translation", []),
    "short": ("translation", ["--max-length", "9"]),
    "recurrent": ("recurrent", ["--output-format", "json"]),
    "beam": ("translation", ["--beam-size", "4", "--n-best", "3", "--scores", "token"]),
    "one": ("translation", ["--scores", "--alignment", "soft", "--max-length", "9"]),
    "drawn": ("translation", ["--temperature", "1.2", "--top-k", "9", "--seed", "3"]),
    "distinct": ("translation", ["--temperature", "1.2", "--n-best", "4", "--distinct"]),
    "prefix": ("translation", ["--target-prefix", "The cat", "--beam-size", "2"]),
    "languages": ("many", ["--target-language", "por", "--source-language", "eng"]),
    "continued": ("rotary", ["--max-tokens", "12"]),
    "sampled": ("rotary", ["--temperature", "1.3", "--top-p", "0.9", "--output-format", "json"]),
    "vectors": ("embedding", []),
    "labels": ("labels", ["--output-format", "json"]),
}


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    machine_text()


def model_of(name: str) -> Model:
    if name in ("embedding", "labels"):
        return build_encoder(name)  # type: ignore[arg-type]
    if name == "many":
        return speaking()
    seeds = {"translation": 6, "recurrent": 2, "rotary": 9}
    return build_tiny_model(seeds[name], name)  # type: ignore[arg-type]


@cache
def command_of(name: str) -> str:
    kinds = {"rotary": "generate", "embedding": "embed", "labels": "classify"}
    return kinds.get(name, "translate")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of the models, and the input."""
    folder = tmp_path_factory.mktemp("receipts")
    for name in {name for name, _ in RUNS.values()}:
        save(folder / f"{name}.safetensors", model_of(name))
    (folder / "in.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    return {path.stem: path for path in folder.iterdir()}


def written(
    files: dict[str, Path], name: str, folder: Path, *more: str, output: str = "out"
) -> tuple[Path, Path]:
    """Run a command.  Return its receipt and its output."""
    model, options = RUNS[name]
    given = ["-m", str(files[model]), "-i", str(files["in"]), "-q", *options, *more]
    receipt, out = folder / "receipt", folder / output
    module = MODULES[command_of(model)]
    assert module.main([*given, "--receipt", str(receipt), "-o", str(out)]) == 0
    return receipt, out


def lines_of(receipt: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in receipt.read_bytes().splitlines()]


def verified(files: dict[str, Path], name: str, receipt: Path, *more: str) -> int:
    return verify.main([str(receipt), "-m", str(files[RUNS[name][0]]), "-q", *more])


@pytest.mark.parametrize("name", RUNS)
def test_a_receipt_is_equal_everywhere_and_accepted(
    files: dict[str, Path], name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt, out = written(files, name, tmp_path, "--batch-size", "3", "--threads", "2")
    content = receipt.read_bytes()
    again, _ = written(files, name, tmp_path, "--backend", "reference", "--batch-size", "1")
    assert again.read_bytes() == content
    for more in ([], ["--batch-size", "1", "--threads", "1"], ["--backend", "reference"]):
        both = ["--against-input", str(files["in"]), "--against-output", str(out)]
        assert verified(files, name, receipt, *more, *both) == 0, capfd.readouterr().err
        told = capfd.readouterr().out
        assert told.startswith(f"accepted: {command_of(RUNS[name][0])}, {len(TEXTS)} lines")
        assert told.endswith(f"seal {lines_of(receipt)[-1]['seal']}\n")


def test_an_array_of_numpy(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt, out = written(files, "vectors", tmp_path, output="out.npy")
    assert verified(files, "vectors", receipt, "--against-output", str(out)) == 0
    rows = np.load(out)
    values = [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
    assert [line["values"] for line in lines_of(receipt)[1:-1]] == values
    rows[3, 5] ^= 1
    np.save(out, rows)
    assert verified(files, "vectors", receipt, "--against-output", str(out)) == 1
    assert "out.npy, row 4, byte 6: the file has" in capfd.readouterr().err


def test_the_content_is_true(files: dict[str, Path], tmp_path: Path) -> None:
    """Each digest is computed in another way."""
    receipt, out = written(files, "short", tmp_path)
    header, *records, end = lines_of(receipt)
    model = model_of("translation")
    assert (header["sha256"], header["model"]) == (model_hash(files["translation"]), model.name)
    assert (header["arithmetic"], header["receipt"]) == (arithmetic.VERSION, 1)
    assert header["source_tokenizer"] == hashlib.sha256(model.source.model).hexdigest()
    assert header["options"] == {"output-format": "text", "max-length": "9"}
    content = out.read_bytes().splitlines(keepends=True)
    assert [r["output"] for r in records] == [hashlib.sha256(c).hexdigest() for c in content]
    assert [r["input"] for r in records] == TEXTS
    assert end["lines"] == len(TEXTS)
    for side, path in (("input", files["in"]), ("output", out)):
        assert end[side] == hashlib.sha256(path.read_bytes()).hexdigest()
    lengths = set()
    for record, text in zip(records, TEXTS, strict=True):
        (found,) = record["results"]
        result = Translator(model, "reference").translate(text, Options(max_length=9))
        assert found["tokens"] == list(result.best.ids)
        assert found["logits"] == digest_of(model, text, found["tokens"])
        lengths.add(len(result.best.ids))
    assert 9 in lengths
    assert lengths - {0, 9}


def digest_of(model: Model, text: str, ids: list[int]) -> str:
    """Compute the logits of a translation of at most 9 tokens, with a session of one row."""
    made = hashlib.sha256()
    tokens = tokenizers(model)[0].encode(text)
    if tokens:
        source = [*tokens, model.program.eos]
        limit = longest_translation(len(source), model.program.max_length_factor, 9)
        session = load_engine(model.program, model.tensors, "reference").session([source])
        for token in [model.program.start, *ids][: len(ids) + (len(ids) < limit)]:
            made.update(session.step(np.array([token], np.int32)).astype("<i4").tobytes())
    return made.hexdigest()


def test_the_seals_are_a_chain(files: dict[str, Path], tmp_path: Path) -> None:
    receipt, _ = written(files, "beam", tmp_path)
    seal = ""
    for line in receipt.read_bytes().splitlines():
        body, _, rest = line.rpartition(b',"seal":"')
        seal = hashlib.sha256(seal.encode() + body + b"}").hexdigest()
        assert rest == seal.encode() + b'"}'


def test_the_schema_is_stored_and_fits(files: dict[str, Path], tmp_path: Path) -> None:
    stored = json.loads(schema.PATH.read_text("utf-8"))
    assert stored == schema.made(), "python -m tests.helpers.receipts writes the schema"
    for name in ("beam", "vectors", "continued"):
        receipt, _ = written(files, name, tmp_path)
        for line in lines_of(receipt):
            kinds = [k for k in schema.KINDS if fits(line, k)]
            assert len(kinds) == 1
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    for line in lines_of(receipt):
        jsonschema.validate(line, stored)
    line["lines"] = -1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(line, stored)


def fits(line: dict[str, Any], kind: type) -> bool:
    try:
        msgspec.convert(line, kind)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize("seed", range(1, 25, 3))
def test_a_flipped_bit_of_a_receipt_is_located(seed: int) -> None:
    assert flips.flip(seed) == ""


@pytest.mark.parametrize("seed", range(2, 26, 3))
def test_a_forged_token_is_located(seed: int) -> None:
    assert flips.flip(seed) == ""


def forged(receipt: Path, number: int, **changes: Any) -> Path:
    """Change a line of a receipt, and seal all lines again."""
    lines = lines_of(receipt)
    lines[number] |= changes
    receipt.write_bytes(b"".join(flips.sealed_again(lines)))
    return receipt


OTHER = "0" * 64


@pytest.mark.parametrize(
    ("number", "changes", "message"),
    [
        (2, {"output": OTHER}, "line 3 of the receipt, output: the receipt has 000"),
        (2, {"results": []}, "line 3 of the receipt, translation 1: the receipt has nothing"),
        (2, {"line": 7}, "line 3 of the receipt, line: the receipt has 7, this run gives 2"),
        (0, {"arithmetic": 1}, "line 1 of the receipt, arithmetic: the receipt has 1"),
        (0, {"source_tokenizer": OTHER}, "line 1 of the receipt, source_tokenizer"),
        (0, {"sha256": OTHER}, "line 1 of the receipt, sha256: the receipt has 000"),
        (0, {"shortlist": OTHER}, "line 1 of the receipt, shortlist"),
        (0, {"options": {"input": "/etc/passwd"}}, "line 1: python -m int8ref.translate has no"),
        (0, {"options": {"receipt": "/tmp/x"}}, "has no option 'receipt'"),
        (0, {"options": {"beam-size": "65"}}, "line 1: the options of the receipt: argument"),
        (0, {"options": {"n-best": "3"}}, "--n-best 3 is more than --beam-size 1"),
        (0, {"options": {"seed": "3"}}, "--seed does nothing without --temperature"),
        (0, {"options": {"target-language": "por"}}, "line 1: model tiny-translation has one pair"),
        (-1, {"lines": 3}, "line 9 of the receipt, lines: the receipt has 3, this run gives 7"),
        (-1, {"input": OTHER}, "line 9 of the receipt, input"),
        (-1, {"output": OTHER}, "line 9 of the receipt, output"),
        (1, {"input": "Two\nlines"}, "line 2: the input is no line of text"),
    ],
)
def test_a_forgery_is_found(
    files: dict[str, Path],
    tmp_path: Path,
    number: int,
    changes: dict[str, Any],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    receipt, _ = written(files, "greedy", tmp_path)
    assert verified(files, "greedy", forged(receipt, number, **changes)) == 1
    assert message in capfd.readouterr().err


def damaged(content: bytes) -> Iterator[tuple[bytes, str]]:
    lines = content.splitlines(keepends=True)
    yield b"".join(lines[:-1]), "line 9 is missing"
    yield content[:-1], "line 9 has no line feed"
    yield content + b"\n", "lines follow line 9"
    yield b"".join([*lines[:2], b"{}\n", *lines[2:]]), "line 3 is damaged"
    yield b"".join([*lines[:2], *lines[3:]]), "line 3 of the receipt"
    yield b"".join([lines[0], lines[2], lines[1], *lines[3:]]), "line 2 of the receipt"
    yield content.replace(b'{"line":3', b'{ "line":3'), "line 4 of the receipt"
    yield b"".join([lines[0], b"[" * 100000 + b"\n"]), "line 2 is damaged"
    yield b'{"receipt":2}\n', "line 1 is damaged"
    yield b'{"receipt":', "line 1 has no line feed"


def test_damaged_receipts(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt, _ = written(files, "greedy", tmp_path)
    for content, message in damaged(receipt.read_bytes()):
        receipt.write_bytes(content)
        assert verified(files, "greedy", receipt) == 1
        told = capfd.readouterr().err
        assert message in told
        assert told.count("\n") == 1


def test_published_files_that_differ(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt, out = written(files, "greedy", tmp_path)
    content, texts = out.read_bytes(), files["in"].read_text()
    other = tmp_path / "other"
    cases = [
        ("--against-output", content[:-1], ": the file ends here"),
        ("--against-output", content + b"x", "has more than 7 lines"),
        ("--against-output", b"x" + content[1:], "other, line 1, byte 1: the file has 0x78"),
        ("--against-input", texts.replace("The cat\n", "The dog\n").encode(), "other, line 6"),
        ("--against-input", texts.encode() + b"more\n", "has a line 8"),
        ("--against-input", texts.encode()[:20], "line 1"),
    ]
    for option, changed, message in cases:
        other.write_bytes(changed)
        assert verified(files, "greedy", receipt, option, str(other)) == 1
        assert message in capfd.readouterr().err


def test_a_receipt_chooses_no_file(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receipt, _ = written(files, "greedy", tmp_path)
    forged(receipt, 0, model=str(files["translation"]))
    assert verify.main([str(receipt), "-q"]) == 1
    assert "give the file of this model with --model" in capfd.readouterr().err


def test_a_receipt_appears_only_at_the_end(files: dict[str, Path], tmp_path: Path) -> None:
    """The run fails at the last line.  No receipt and no temporary file remains."""
    (tmp_path / "in").write_bytes(b"The cat\n" * 50 + b"\xff\n")
    made = [sys.executable, "-m", "int8ref.translate", "-m", str(files["translation"])]
    receipt = tmp_path / "receipt"
    more = ["-i", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--receipt", str(receipt)]
    command: Command = [*made, *more]
    status, _, told = run(command)
    assert status == 1
    assert "line 51 is not UTF-8" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    for taken in (tmp_path / "in", tmp_path / "out"):
        status, _, told = run([*made, *more[:5], str(taken)])
        assert status == 1
        assert "the receipt is the" in told
    assert (tmp_path / "in").stat().st_size == 402


def test_the_command(files: dict[str, Path], tmp_path: Path) -> None:
    """A receipt of one process is verified by another process."""
    receipt = tmp_path / "receipt"
    made: Command = ["-m", str(files["rotary"]), "--receipt", receipt, "--max-tokens", "8", "a\nb"]
    assert run([sys.executable, "-m", "int8ref.generate", *made])[0] == 0
    command: Command = [sys.executable, "-m", "int8ref.verify", receipt, "-m", files["rotary"]]
    status, out, told = run(command)
    assert (status, told) == (0, "")
    assert out.startswith(b"accepted: generate, 2 lines, ")
    status, out, told = run([*command[:3], tmp_path / "absent"])
    assert (status, out) == (1, b"")
    assert "absent: No such file" in told


def test_a_receipt_needs_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        translate.main(["--receipt", "-", "a"])
    assert raised.value.code == 2
    assert "the name of a file is wanted" in capfd.readouterr().err


def test_every_command_of_the_form_can_be_run_again() -> None:
    from int8ref.verification.replay import COMMANDS

    assert set(COMMANDS) == set(form.FIELDS) == set(MODULES)
