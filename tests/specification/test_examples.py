"""The examples of the specification give the shown results."""

from __future__ import annotations

import doctest
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPECIFICATION = ROOT / "docs" / "specification"
PAGES = sorted(
    page for page in SPECIFICATION.rglob("*.md") if ">>> " in page.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_are_true(
    tmp_path: Path, tiny_file: Path, monkeypatch: pytest.MonkeyPatch, page: Path
) -> None:
    shutil.copy(tiny_file, tmp_path / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    if "safe_open" in page.read_text("utf-8"):
        pytest.importorskip("safetensors", reason="an example reads a file with safetensors")
    outcome = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert outcome.attempted >= 2
    assert outcome.failed == 0


def test_the_pages_with_arithmetic_have_examples() -> None:
    found = {page.name[:2] for page in PAGES if page.parent == SPECIFICATION}
    assert found >= {"02", "03", "05", "07", "08", "09"}
    assert len([page for page in PAGES if page.parent != SPECIFICATION]) == 6
