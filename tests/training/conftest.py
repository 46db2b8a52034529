"""Makes the shared modules of this folder importable, and prepares the toy text once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training.prepare import prepare

sys.path.insert(0, str(Path(__file__).parent))

import toy


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("toy_text")
    toy.write_text(root)
    return root


@pytest.fixture(scope="session")
def toy_data(toy_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy_data")
    prepare(toy.toy_config().data, toy_root, folder)
    return folder
