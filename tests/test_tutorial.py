"""The tutorial notebook runs, and shows the outputs that it stores."""

from __future__ import annotations

from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat reads the notebook")

from tests.helpers.tutorial import NOTEBOOK, executed, shown, stored  # noqa: E402


def plain(text: str) -> str:
    """Return a representation without line breaks, which IPython adds to long values."""
    return "".join(text.split())


def compare(found: dict[str, str], wanted: dict[str, str]) -> None:
    assert {name: plain(text) for name, text in found.items()} == {
        name: plain(text) for name, text in wanted.items()
    }


def test_the_cells_show_the_stored_outputs() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(code) > 8
    names: dict[str, Any] = {}
    for cell in code:
        compare(shown(cell.source, names), stored(cell.outputs))


@pytest.mark.slow
def test_a_kernel_shows_the_stored_outputs() -> None:
    pytest.importorskip("ipykernel", reason="ipykernel runs the notebook")
    pytest.importorskip("nbclient", reason="nbclient runs the notebook")
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    for found, wanted in zip(executed().cells, cells, strict=True):
        if wanted.cell_type == "code":
            compare(stored(found.outputs), stored(wanted.outputs))
