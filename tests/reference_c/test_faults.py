"""Faults in the reference in C are found by the corner cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from int8ref.corners import record_corners
from int8ref.golden.folder import write_folder
from tests.reference_c.faults import FLAGS, SOURCES, changed, faults, measure
from tests.reference_c.program import compiler

FAULTS = faults()
OTHERS = 40
"""The usual run takes every fault of this number, because each fault is a compilation."""


@pytest.fixture(scope="module")
def corners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if compiler(FLAGS) is None:
        pytest.skip("no C compiler is installed")
    folder = tmp_path_factory.mktemp("corners") / "corners"
    write_folder(folder, record_corners())
    return folder


def test_every_fault_fits_the_reference() -> None:
    sources = {path.name: path.read_text() for path in sorted(SOURCES.glob("*.c"))}
    assert len(FAULTS) == len(set(FAULTS)) >= 100
    for fault in FAULTS:
        name, text = changed(fault, sources)
        assert text != sources[name], fault


def test_some_faults_are_found(corners: Path) -> None:
    chosen = [fault for fault in FAULTS[::OTHERS] if not fault.equivalent]
    alive = [fault for fault, found in measure([corners], chosen) if not found]
    assert alive == []


@pytest.mark.slow
def test_the_corner_cases_find_98_of_100_faults(corners: Path) -> None:
    real = [fault for fault in FAULTS if not fault.equivalent]
    alive = [fault for fault, found in measure([corners], real) if not found]
    assert len(alive) * 50 <= len(real), alive


def test_no_fault_gives_no_difference(corners: Path) -> None:
    same = FAULTS[0]._replace(new=FAULTS[0].old)
    assert [found for _, found in measure([corners], [same])] == [[]]
