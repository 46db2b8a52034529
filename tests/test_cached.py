"""Cached arrays of models: one file a model.  A file that may still be needed is not removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from int8ref.files import cached
from int8ref.program.program import Tensors

OLD, NEW, OTHER = "0" * 64, "1" * 64, "2" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path))
    return tmp_path


def make() -> Tensors:
    return {"x": np.arange(5, dtype=np.int8)}


def keep(
    key: str, kind: str = "packed", name: str = "en-pt", make: Callable[[], Tensors] = make
) -> Tensors:
    return cached.kept(kind, name, key, lambda found: True, make)


def kept(folder: Path, key: str, kind: str = "packed", name: str = "en-pt") -> Path:
    return folder / f"{kind}-{name}-{key[:32]}.safetensors"


def age(*paths: Path) -> None:
    """Set the modification times of the files far into the past."""
    for path in paths:
        written = path.stat().st_mtime - 2 * cached.STALE_SECONDS
        os.utime(path, (written, written))


def test_an_older_file_of_the_same_model_is_removed(folder: Path) -> None:
    keep(OLD)
    age(kept(folder, OLD))
    keep(NEW)
    assert list(folder.iterdir()) == [kept(folder, NEW)]


def test_nothing_else_is_removed(folder: Path) -> None:
    """Other models, other kinds, partial files, imported models and new files stay."""
    old = kept(folder, OLD)
    others = [
        kept(folder, OLD, name="pt-en"),
        kept(folder, OLD, name="en-pt-small"),
        kept(folder, OLD, name="en"),
        kept(folder, OLD, kind="unpacked"),
        old.with_name(f".{old.name}.0123456789abcdef"),
        old.with_suffix(".npz"),
        folder / "en-pt-0123456789abcdef.safetensors",
    ]
    for path in others:
        path.touch()
    age(*others)
    keep(OTHER)
    keep(NEW)
    assert set(folder.iterdir()) == {*others, kept(folder, OTHER), kept(folder, NEW)}


def test_reading_removes_nothing(folder: Path) -> None:
    keep(NEW)
    kept(folder, OLD).touch()
    age(kept(folder, OLD))
    keep(NEW, make=lambda: pytest.fail("made again"))
    assert kept(folder, OLD).exists()


def test_two_versions_by_turns_keep_what_they_made(folder: Path) -> None:
    keep(OLD)
    age(kept(folder, OLD))
    for key in (NEW, OLD):
        keep(key)
    for key in (NEW, OLD):
        keep(key, make=lambda: pytest.fail("made again"))


@pytest.mark.skipif(sys.platform == "win32", reason="what is mapped stays there")
def test_what_is_removed_can_be_read_by_who_has_it(folder: Path) -> None:
    mapped = keep(OLD)
    age(kept(folder, OLD))
    keep(NEW)
    assert not kept(folder, OLD).exists()
    np.testing.assert_array_equal(mapped["x"], make()["x"])


def test_what_cannot_be_removed_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "in use", str(path))

    keep(OLD)
    age(kept(folder, OLD))
    monkeypatch.setattr(Path, "unlink", refuse)
    np.testing.assert_array_equal(keep(NEW)["x"], make()["x"])
    assert set(folder.iterdir()) == {kept(folder, OLD), kept(folder, NEW)}
