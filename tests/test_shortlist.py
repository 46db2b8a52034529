"""Lexical shortlists: candidates equal a plain definition.  Files are complete or damaged."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.files import shortlist
from int8ref.files.container import ModelFileError
from int8ref.files.shortlist import Shortlist

VOCABULARY = 30
OWN = shortlist.tokenizers_hash(b"source", b"target")
LISTS = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), unique=True, max_size=6).map(sorted),
    min_size=VOCABULARY,
    max_size=VOCABULARY,
)


def made(lists: list[list[int]], frequent: int = 0, shared: bool = False) -> Shortlist:
    offsets = np.cumsum([0, *map(len, lists)]).astype(np.int32)
    tokens = np.array([t for tokens in lists for t in tokens], np.int16)
    return Shortlist(frequent, shared, OWN, offsets, tokens, {"origin": "a test"})


@given(
    LISTS,
    st.integers(0, 8),
    st.booleans(),
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9),
    st.integers(0, VOCABULARY - 1),
)
def test_candidates_are_what_the_definition_says(
    lists: list[list[int]], frequent: int, shared: bool, source: list[int], eos: int
) -> None:
    found = made(lists, frequent, shared).candidates(source, eos)
    wanted = {*range(frequent), eos, *(t for s in source for t in lists[s])}
    wanted |= set(source) if shared else set()
    assert found.dtype == np.int32
    assert found.tolist() == sorted(wanted)


@given(LISTS, st.integers(0, 8), st.booleans())
def test_a_file_gives_back_what_was_saved(
    lists: list[list[int]], frequent: int, shared: bool
) -> None:
    if not any(lists):
        lists[0] = [1]
    saved = made(lists, frequent, shared)
    assert shortlist.serialize(saved) == shortlist.serialize(saved)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.shortlist.safetensors"
        shortlist.save(path, saved)
        found = shortlist.load(path)
    assert (found.frequent, found.shared, found.tokenizers, found.provenance) == (
        saved.frequent,
        saved.shared,
        saved.tokenizers,
        saved.provenance,
    )
    assert np.array_equal(found.offsets, saved.offsets)
    assert np.array_equal(found.tokens, saved.tokens)


def test_fits_only_its_own_vocabularies() -> None:
    found = made([[1, 29]] * VOCABULARY, frequent=8, shared=True)
    assert found.fits(VOCABULARY, VOCABULARY, OWN)
    assert not found.fits(VOCABULARY - 1, VOCABULARY, OWN)
    assert not found.fits(VOCABULARY, VOCABULARY - 1, OWN)
    assert not found.fits(VOCABULARY, VOCABULARY + 1, OWN)  # shared vocabularies have one size
    assert not made([[1]] * VOCABULARY, frequent=31).fits(VOCABULARY, VOCABULARY, OWN)
    for other in ((b"target", b"source"), (b"sourcet", b"arget"), (b"source", b"source")):
        hashed = shortlist.tokenizers_hash(*other)
        assert not found.fits(VOCABULARY, VOCABULARY, hashed)


@pytest.mark.parametrize(
    ("offsets", "tokens", "told"),
    [
        ([1, 2], [0, 0], "rise"),
        ([0, 2, 1], [0], "rise"),
        ([0, 1], [0, 0], "rise"),
        ([0, 1], [-1], "below 0"),
        ([0], [], "offsets"),
    ],
)
def test_impossible_lists_are_refused(offsets: list[int], tokens: list[int], told: str) -> None:
    with pytest.raises(ModelFileError, match=told):
        Shortlist(0, False, OWN, np.array(offsets, np.int32), np.array(tokens, np.int16), {})


def test_every_damaged_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.shortlist.safetensors"
    shortlist.save(path, made([[1, 2], [3]], 1))
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ModelFileError, match=r"x\.shortlist"):
            shortlist.load(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelFileError, match=r"x\.shortlist"):
        shortlist.load(path)


def test_a_model_file_is_no_shortlist_and_says_so(tmp_path: Path) -> None:
    from int8ref.files import container

    path = tmp_path / "x.safetensors"
    path.write_bytes(container.pack({"a": np.ones(3, np.int8)}, "int8ref", "{}"))
    with pytest.raises(ModelFileError, match=r"metadata is not one text named 'int8ref.shortlist'"):
        shortlist.load(path)


def test_lies_beside_its_model() -> None:
    assert shortlist.beside("a/en-pt.safetensors") == Path("a/en-pt.shortlist.safetensors")
