"""Records of what was computed from files: used for the same state only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from int8ref.files import container
from int8ref.files.container import ModelFileError, map_file, unpack
from int8ref.host import states
from int8ref.host.states import recorded, state_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no records there")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a clock that says that every file is old."""
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(states, "SETTLED_NS", -(10**12))
    return tmp_path / "cache"


class Hashes:
    """Counts the hashes of a whole container."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self._real = 0, container._hash_of_whole
        monkeypatch.setattr(container, "_hash_of_whole", self)

    def __call__(self, view: memoryview) -> str | None:
        self.count += 1
        return self._real(view)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> Hashes:
    monkeypatch.setattr(container, "RECORDED_BYTES", 1)
    return Hashes(monkeypatch)


def write(path: Path, value: int = 1) -> Path:
    path.write_bytes(container.pack({"x": np.full(999, value, np.int8)}, "k", '"d"'))
    return path


def read(path: Path) -> Any:
    file = map_file(path)
    return unpack(file, "k", file)


def test_a_known_file_is_not_hashed_again(tmp_path: Path, hashes: Hashes) -> None:
    path = write(tmp_path / "model")
    hashes.count = 0
    first = read(path)
    assert hashes.count == 1
    again = read(path)
    assert hashes.count == 1
    assert (again.sha256, again.digest) == (first.sha256, first.digest)
    assert first.sha256 == container.file_hash(path)


def flip(path: Path) -> None:
    """Change one byte in its place, and set the time of the change back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size - 100)
        byte = file.read(1)[0]
        file.seek(before.st_size - 100)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def swap(path: Path) -> None:
    """Replace the file by a damaged file of the same size and time."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("damage", [flip, swap])
def test_damage_is_noticed(tmp_path: Path, hashes: Hashes, damage: Callable[[Path], None]) -> None:
    path = write(tmp_path / "model")
    read(path)
    read(path)
    time.sleep(0.02)  # a tick of the clock of the file system
    damage(path)
    for _ in range(2):
        with pytest.raises(ModelFileError, match="damaged"):
            read(path)


def test_another_content_has_another_record(tmp_path: Path, hashes: Hashes) -> None:
    path = write(tmp_path / "model")
    old = read(path).sha256
    write(path, 2)
    new = read(path).sha256
    assert (old != new, new) == (True, container.file_hash(path))


def test_small_files_have_no_record(tmp_path: Path, cache: Path) -> None:
    read(write(tmp_path / "model"))
    assert not cache.exists()


def test_a_young_file_has_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "SETTLED_NS", 2_000_000_000)
    path = write(tmp_path / "young")
    assert state_of([path.stat()]) is None
    now = time.time_ns()
    monkeypatch.setattr(states.time, "time_ns", lambda: now + 10**10)
    assert state_of([path.stat()]) is not None
    os.utime(path, ns=(now, now + 10**12))
    assert state_of([path.stat()]) is None


def test_without_a_state_the_text_is_computed(cache: Path) -> None:
    assert [recorded("n", None, partial(str, text)) for text in "ab"] == ["a", "b"]
    assert not cache.exists()


def never() -> str:
    raise AssertionError("computed again")


def test_a_record_is_of_one_name_and_one_state() -> None:
    assert recorded("n", "1", lambda: "a b") == "a b"
    assert recorded("n", "1", never) == "a b"
    assert recorded("m", "1", lambda: "c") == "c"
    assert recorded("n", "2", lambda: "d") == "d"
    assert recorded("n", "1", lambda: "e") == "e"


@pytest.mark.parametrize("damaged", [b"", b"x", b"\xff\n", b"0" * 64 + b" 1 a\n"])
def test_a_damaged_record_is_made_again(cache: Path, damaged: bytes) -> None:
    recorded("n", "1", lambda: "a")
    (path,) = cache.iterdir()
    good = path.read_bytes()
    path.write_bytes(damaged)
    assert recorded("n", "1", lambda: "a") == "a"
    assert path.read_bytes() == good


def test_an_error_leaves_no_record(cache: Path) -> None:
    with pytest.raises(AssertionError):
        recorded("n", "1", never)
    assert not cache.exists()


def test_a_cache_that_cannot_store_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path / "file"))
    assert [recorded("n", "1", partial(str, text)) for text in "ab"] == ["a", "b"]
