"""Lets the tests of this folder import the modules they share; real models to import."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


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
