"""Copies of large files in large pages."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest

from int8ref.files.container import map_file
from int8ref.host import large_pages

FEATURE = pytest.mark.skipif(
    not hasattr(mmap, "MADV_HUGEPAGE"), reason="no large pages on this system"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of three large pages and some bytes."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * (3 * large_pages.PAGE_BYTES // 256) + b"rest")
    return path


def test_a_small_file_stays_mapped(file: Path) -> None:
    content = map_file(file)
    assert large_pages.copied(content) is content


@FEATURE
def test_a_copy_has_the_bytes_of_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_pages, "LEAST_BYTES", file.stat().st_size)
    copy = large_pages.copied(map_file(file))
    assert isinstance(copy, memoryview)
    assert copy.readonly
    assert copy == file.read_bytes()


@FEATURE
def test_without_large_pages_the_file_stays_mapped(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_pages, "LEAST_BYTES", 1)
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", -1)  # the system refuses the wish
    content = map_file(file)
    assert large_pages.copied(content) is content


@FEATURE
def test_the_system_gives_large_pages(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives them for the asking."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("the system gives no large pages")

    def given() -> int:
        text = Path("/proc/self/smaps").read_text()
        return sum(map(int, re.findall(r"AnonHugePages: +(\d+) kB", text)))

    monkeypatch.setattr(large_pages, "LEAST_BYTES", 1)
    before = given()
    copy = large_pages.copied(map_file(file))
    if given() == before:
        pytest.skip("the memory of the system has no large page left")
    assert given() - before >= 2 * large_pages.PAGE_BYTES >> 10
    del copy
