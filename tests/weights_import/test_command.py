"""The command: rejections before reading, outputs, and error messages."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_hugging_face
import tiny_training

from int8ref.errors import UserError
from int8ref.files import shortlist
from int8ref.files.model_file import load
from int8ref.files.shortlist import Shortlist, tokenizers_hash
from int8ref.host import child
from int8ref.translation.worker import Worker
from tests.helpers.models import sentencepiece_model
from tests.helpers.processes import TIMEOUT
from weights_import import __main__ as importer
from weights_import import sources
from weights_import.__main__ import main
from weights_import.errors import LoweringError
from weights_import.output import legal_name

Errors = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(arguments: list[Any], errors: Errors) -> str:
    """Run a command that must fail.  Return its error message, which is one line."""
    assert main([str(argument) for argument in arguments]) == 1
    told = errors.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("int8ref: error: ")
    return told


# Inputs are not overwritten


@pytest.mark.parametrize("source", ["model.bin", "."])
@pytest.mark.parametrize("output", ["model.bin", "vocab.spm", "vocab.yml", "lex.s2t.bin", "text"])
@pytest.mark.usefixtures("unread")
def test_the_output_is_no_file_that_is_read(
    marian: Path, source: str, output: str, capsys: Errors
) -> None:
    before = contents(marian)
    arguments = [marian / source, "--calibration", marian / "text", "-o", marian / output]
    assert f"{marian / output}: would be replaced" in refused(arguments, capsys)
    assert contents(marian) == before


@pytest.mark.parametrize("option", ["--calibration", "--shortlist"])
@pytest.mark.usefixtures("unread")
def test_nor_is_the_shortlist_beside_it(marian: Path, option: str, capsys: Errors) -> None:
    lists = marian / "x.shortlist.safetensors"
    told = refused([marian, option, lists, "-o", marian / "x.safetensors"], capsys)
    assert f"{lists}: would be replaced" in told


@pytest.mark.usefixtures("unread")
def test_other_names_of_a_file_that_is_read(marian: Path, tmp_path: Path, capsys: Errors) -> None:
    (tmp_path / "soft").symlink_to(marian / "model.bin")
    os.link(marian / "model.bin", tmp_path / "hard")
    for output in ("soft", "hard", "marian/../marian/model.bin"):
        assert "would be replaced" in refused([marian, "-o", tmp_path / output], capsys)


def test_the_files_of_each_format(marian: Path, tmp_path: Path) -> None:
    beside = {"vocab.spm", "vocab.yml"}
    assert {path.name for path in sources.files(marian)} == {"model.bin", *beside}
    arrays = tmp_path / "npz"
    shutil.copytree(marian, arrays)
    (arrays / "model.bin").unlink()
    with open(arrays / "model.npz", "wb") as file:
        np.savez(file, **{"special:model.yml": np.zeros(1, "int8")})
    assert {path.name for path in sources.files(arrays)} == {"model.npz", *beside}
    tiny_training.write(tmp_path)
    (tmp_path / "other.model").touch()
    found = sources.files(tmp_path / "tiny.safetensors")
    assert [path.name for path in found] == ["tiny.safetensors", "tiny.tokenizer.model"]
    (marian / "model.bin").unlink()
    tiny_hugging_face.write(marian)
    names = {path.name for path in sources.files(marian)}
    assert names == {"model.safetensors", "config.json", *beside}


def test_a_new_file_beside_the_checkpoint(training: list[str]) -> None:
    folder = Path(training[0]).parent
    before = contents(folder)
    for _ in range(2):  # the second run replaces the first file
        assert main([str(folder), *training[1:], "-o", str(folder / "int8.safetensors")]) == 0
    assert load(folder / "int8.safetensors").name == "int8"
    (folder / "int8.safetensors").unlink()
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("nodir/x.safetensors", "x.safetensors: there is no folder .*nodir"),
        ("text/x.safetensors", "x.safetensors: there is no folder .*text"),
        (".", "a folder, not the file"),
        ("pipe", "not a regular file"),
        ("y.safetensors", "y.shortlist.safetensors: not a regular file"),
    ],
)
@pytest.mark.usefixtures("unread")
def test_where_nothing_can_be_written(
    marian: Path, output: str, why: str, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(marian)
    os.mkfifo("pipe")
    os.mkdir("y.shortlist.safetensors")
    assert re.search(why, refused(["model.bin", "-o", output], capsys))


# A shortlist that exists already


def test_only_a_shortlist_of_its_own_stays_beside_the_output(
    training: list[str], capsys: Errors
) -> None:
    folder = Path(training[0]).parent
    output, beside = folder / "int8.safetensors", folder / "int8.shortlist.safetensors"
    arguments = [*training, "-o", str(output)]
    assert main(arguments) == 0
    tokens = tiny_training.described()["vocabulary"]
    own = Shortlist(
        frequent=1,
        shared=True,
        tokenizers=tokenizers_hash(*[tiny_training.tokenizer()] * 2),
        offsets=np.arange(tokens + 1, dtype=np.int32),
        tokens=np.arange(tokens, dtype=np.int16),
        provenance={},
    )
    shortlist.save(beside, own)
    assert main(arguments) == 0
    Worker(load(output), "reference")

    shortlist.save(beside, replace(own, tokenizers=tokenizers_hash(b"another", b"another")))
    output.unlink()
    before = contents(folder)
    assert f"{beside}: the shortlist of another model" in refused(arguments, capsys)
    assert contents(folder) == before
    beside.rename(folder / "other")
    assert main(arguments) == 0
    (folder / "other").rename(beside)
    with pytest.raises(UserError, match="int8: the shortlist beside it is not its own"):
        Worker(load(output), "reference")


# Names, and languages without a text


@pytest.mark.parametrize("name", ["", "a b", "a|b:c", "../../evil", "modèle", "a\n", "a" * 65])
@pytest.mark.usefixtures("unread")
def test_names_that_no_model_can_have(marian: Path, name: str, capsys: Errors) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(marian), "-o", str(marian / "x.safetensors"), "--name", name])
    assert caught.value.code == 2
    assert "argument --name: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("en-pt", "en-pt"),
        ("A.b_c+d-9", "A.b_c+d-9"),
        ("my model (1)", "my-model-1-"),
        ("modèle", "mod-le"),
        ("a|b: c", "a-b-c"),
        ("a" * 70, "a" * 64),
        ("модель", "model"),
        ("m\udcff", "m-"),
        ("", "model"),
    ],
)
def test_the_name_of_a_file_becomes_one(stem: str, name: str) -> None:
    assert legal_name(stem) == name


def test_any_file_name_gives_a_model_that_is_read(training: list[str], tmp_path: Path) -> None:
    output = tmp_path / "mon modèle (1).safetensors"
    assert main([*training, "-o", str(output)]) == 0
    assert load(output).name == "mon-mod-le-1-"


def test_a_damaged_tokenizer_is_told_before_the_library_sees_it(
    marian: Path, tmp_path: Path, capsys: Errors
) -> None:
    (marian / "vocab.yml").unlink()
    told = refused([marian, "-q", "-o", tmp_path / "x.safetensors"], capsys)
    assert "not a SentencePiece model: wire type" in told


@pytest.mark.parametrize("languages", [[], ["--languages", "fr-en"]])
def test_a_language_without_a_text_names_the_options(
    marian: Path, tmp_path: Path, languages: list[str], capsys: Errors
) -> None:
    for name in ("vocab.yml", "lex.s2t.bin"):
        (marian / name).unlink()
    (marian / "vocab.spm").write_bytes(sentencepiece_model())
    told = refused([marian, "-q", "-o", tmp_path / "x.safetensors", *languages], capsys)
    assert ("'fr'" if languages else "'und'") in told
    assert "--languages" in told
    assert "--calibration" in told


# Files beside the checkpoint and the text


def test_without_a_tokenizer(marian: Path, tmp_path: Path, capsys: Errors) -> None:
    for name in ("vocab.spm", "vocab.yml", "lex.s2t.bin"):
        (marian / name).unlink()
    output = tmp_path / "x.safetensors"
    told = refused([marian / "model.bin", "-q", "-o", output, "--languages", "en-pt"], capsys)
    assert f"no tokenizer of the source and the target in {marian}: looked for" in told
    for name in ("*.spm", "src*.spm", "target*.spm"):
        assert name in told
    (marian / "src.spm").touch()
    (marian / "other.spm").touch()
    told = refused([marian / "model.bin", "-q", "-o", output, "--languages", "en-pt"], capsys)
    assert f"of the target in {marian}" in told
    assert "src" not in told.split("looked for")[1]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"The cat.\n\nA \xff dog.\n", r"line 3 is not UTF-8: byte 3 (0xff)"),
        (b"\n \r\n", "no sentences"),
    ],
)
def test_a_text_that_is_none(
    training: list[str], tmp_path: Path, content: bytes, why: str, capsys: Errors
) -> None:
    text = Path(training[2])
    text.write_bytes(content)
    told = refused([*training, "-o", tmp_path / "x.safetensors"], capsys)
    assert f"{text}: {why}" in told


@pytest.mark.parametrize("text", ["The cat.\n", "\n \nThe cat.\n\n", "a\nb\n", "The cat.\n" * 500])
def test_a_text_of_a_line_or_two_is_told(
    training: list[str], tmp_path: Path, text: str, capsys: Errors
) -> None:
    """A warning if the model can be lowered, else one error message."""
    Path(training[2]).write_text(text)
    arguments = [*training[:3], "-o", str(tmp_path / "x.safetensors")]
    assert main(arguments) in (0, 1)
    told = [line for line in capsys.readouterr().err.splitlines() if training[2] in line]
    only, *_ = told
    assert f"{training[2]}: only {2 if text[0] == 'a' else 1} sentence" in only
    assert "give a few hundred sentences" in only


def test_a_text_on_which_nothing_can_be_lowered(
    training: list[str], tmp_path: Path, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise LoweringError("a ratio of 0")

    monkeypatch.setattr(importer, "lowered", fail)
    assert "error: a ratio of 0" in refused([*training, "-o", tmp_path / "x"], capsys)
    Path(training[2]).write_text("The cat.\n")
    told = refused([*training, "-o", tmp_path / "x"], capsys)
    assert f"{training[2]}: only 1 sentence of" in told
    assert "cannot be calibrated (a ratio of 0); give a few hundred sentences" in told


def test_a_text_in_another_language_is_told(
    training: list[str], tmp_path: Path, capsys: Errors
) -> None:
    Path(training[2]).write_text("".join(f"{chr(0x4E00 + i)} \u65e5 \u306f\n" for i in range(99)))
    assert main([*training[:3], "-o", str(tmp_path / "x.safetensors")]) in (0, 1)
    assert "tokens are unknown to the model, as in another language" in capsys.readouterr().err


def test_a_text_that_is_missing(training: list[str], tmp_path: Path, capsys: Errors) -> None:
    Path(training[2]).unlink()
    told = refused([*training, "-o", tmp_path / "x.safetensors"], capsys)
    assert f"{training[2]}: No such file" in told


# Ends


def test_a_full_disk(
    training: list[str], tmp_path: Path, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = os.listdir(tmp_path)
    told = refused([*training, "-o", tmp_path / "x.safetensors"], capsys)
    assert f"{tmp_path / 'x.safetensors'}: No space left on device" in told
    assert os.listdir(tmp_path) == before


def test_options_that_exclude_each_other(
    training: list[str], unread: None, tmp_path: Path, capsys: Errors
) -> None:
    arguments = [*training, "--rescaling", "dynamic", "--residual", "8"]
    assert "16 bits" in refused([*arguments, "-o", tmp_path / "x.safetensors"], capsys)


def test_an_interrupt_ends_without_a_word(training: list[str], tmp_path: Path) -> None:
    text = Path(training[2])
    text.write_text(text.read_text() * 5000)
    output = tmp_path / "x.safetensors"
    command, environment = child.program("weights_import", *training[:-1], "-o", str(output))
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "calibrating" in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == ""
        assert process.wait(TIMEOUT) == -signal.SIGINT
    assert not output.exists()
