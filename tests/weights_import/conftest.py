"""Makes the shared modules of this folder importable.  Provides small and real models to import."""

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
    """A function from a name to the folder of a published model in INT8REF_SHARED."""

    def find(name: str) -> Path:
        shared = Path(os.environ.get("INT8REF_SHARED", Path(__file__).parents[3] / "shared"))
        folder = shared / "data" / "models" / name
        if not folder.is_dir():
            pytest.skip(f"no {folder} (set INT8REF_SHARED)")
        return folder

    return find


@pytest.fixture
def marian(tmp_path: Path) -> Path:
    """A folder with a checkpoint of Marian and all files that may be beside it, empty."""
    folder = tmp_path / "marian"
    folder.mkdir()
    (folder / "model.bin").write_bytes(tiny_marian.write_bin(tiny_marian.stored(0)))
    for name in ("vocab.spm", "vocab.yml", "lex.s2t.bin", "text", "x.shortlist.safetensors"):
        (folder / name).write_text(f"this is {name}")
    return folder


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the reading of a checkpoint an error."""
    monkeypatch.setattr(sources, "read", lambda path: pytest.fail(f"{path} was read"))


@pytest.fixture
def training(tmp_path: Path) -> list[str]:
    """The checkpoint and the calibration text of a model, as arguments of the command."""
    folder = tmp_path / "training"
    folder.mkdir()
    (folder / "text").write_text("".join(f"{line}\n" for line in tiny_training.SENTENCES))
    return [str(tiny_training.write(folder)), "--calibration", str(folder / "text"), "-q"]
