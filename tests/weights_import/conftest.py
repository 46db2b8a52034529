"""Lets the tests of this folder import the modules they share; models to import, small and real."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny_marian
import tiny_training

from weights_import import sources


@pytest.fixture(scope="session")
def real_model() -> Callable[[str], Path]:
    """real_model(name) -> the folder of a model of others, where INT8REF_SHARED has it."""

    def find(name: str) -> Path:
        shared = Path(os.environ.get("INT8REF_SHARED", Path(__file__).parents[3] / "shared"))
        folder = shared / "data" / "models" / name
        if not folder.is_dir():
            pytest.skip(f"no {folder} (set INT8REF_SHARED)")
        return folder

    return find


@pytest.fixture
def marian(tmp_path: Path) -> Path:
    """A folder with a checkpoint of Marian's and all that may lie beside it, as names."""
    folder = tmp_path / "marian"
    folder.mkdir()
    (folder / "model.bin").write_bytes(tiny_marian.write_bin(tiny_marian.stored(0)))
    for name in ("vocab.spm", "vocab.yml", "lex.s2t.bin", "text", "x.shortlist.safetensors"):
        (folder / name).write_text(f"this is {name}")
    return folder


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No checkpoint may be read."""
    monkeypatch.setattr(sources, "read", lambda path: pytest.fail(f"{path} was read"))


@pytest.fixture
def training(tmp_path: Path) -> list[str]:
    """Checkpoint and calibration text of a model that the command imports, as its arguments."""
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "text").write_text("".join(f"{line}\n" for line in tiny_training.SENTENCES))
    return [str(tiny_training.write(folder)), "--calibration", str(folder / "text"), "-q"]
