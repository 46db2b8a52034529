"""Atomic writes of files.  Devices and pipes are written directly."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from int8ref.host.storage import write_whole


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"longer than what follows")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    for content in (b"first", b"second"):
        write_whole(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").read_bytes() == content


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    write_whole(path, b"content")
    reader.join()
    assert found == [b"content"]
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("name", ["", "absent/file", "/dev/full"])
def test_errors_name_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(OSError) as raised:  # noqa: PT011
        write_whole(path, b"content")
    assert raised.value.filename == str(path)
    assert raised.value.strerror in str(raised.value)
    assert os.listdir(tmp_path) == []
