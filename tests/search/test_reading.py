"""Readings: digests of logits, and drafts, which change no result."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.search import Sampling
from int8ref.search.decoder import Piece
from int8ref.search.reading import Given, confirmed, digests, greedy
from int8ref.search.request import Path, Request
from int8ref.translation.witness import drafted, searched
from tests.helpers.engines import requests
from tests.helpers.models import Kind
from tests.helpers.tiny_engines import VOCABULARY, both, reference, sources_of

KINDS: list[Kind] = ["recurrent", "translation", "decoder", "rotary"]
LIMIT = 7


def by_hand(request: Request, ids: list[int]) -> str:
    """Compute the digest of one translation, with a session of one row."""
    session = reference().session([request.ids])
    steps = len(request.prefix) + len(ids) + (len(ids) < request.limit)
    path = [reference().program.start, *request.prefix, *ids][:steps]
    rows = [session.step(np.array([token], np.int32))[0] for token in path]
    content = [row.astype("<i4").tobytes() for row in rows[len(request.prefix) :]]
    return hashlib.sha256(b"".join(content)).hexdigest()


def test_the_digest_is_of_the_logits_after_the_prefix() -> None:
    batch = [[5, 9, 3, 0], [7, 0], [4, 4, 8, 0]]
    made = requests(batch, [LIMIT, LIMIT, 2], prefixes=[[], [3, 4], [6]])
    found = reference().greedy(made)
    assert {len(ids) < one.limit for ids, one in zip(found, made, strict=True)} == {True, False}
    wanted = [by_hand(one, ids) for one, ids in zip(made, found, strict=True)]
    for engine in both():
        given = [Given.of(one, ids) for one, ids in zip(made, found, strict=True)]
        assert digests(engine, given) == wanted
        assert confirmed(engine, given, VOCABULARY) == wanted
        assert greedy(engine, made) == list(zip(found, wanted, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12)
@given(data=st.data())
def test_no_draft_changes_a_result(kind: Kind, data: st.DataObject) -> None:
    """Half of the drafts are the result itself, or the result with one change."""
    golden, compiled = both(kind)
    batch = data.draw(st.lists(sources_of(kind), min_size=1, max_size=4))
    prefixes = [data.draw(st.lists(st.integers(1, VOCABULARY - 1), max_size=2)) for _ in batch]
    made = requests(batch, [LIMIT] * len(batch), prefixes=prefixes)
    results = compiled.greedy(made)
    drafts = [data.draw(st.one_of(st.none(), st.just(ids), changed(ids))) for ids in results]
    found = drafted(compiled, made, drafts, VOCABULARY)
    assert [list(ids) for ids, _ in found] == results
    wanted = [Given.of(one, ids) for one, ids in zip(made, results, strict=True)]
    assert [digest for _, digest in found] == digests(golden, wanted)


@pytest.mark.parametrize("sampling", [None, Sampling(130, 5, 90, 3)])
def test_searches_with_and_without_digests(sampling: Sampling | None) -> None:
    golden, compiled = both("translation")
    made = requests([[5, 9, 3, 0], [7, 0], [4, 4, 8, 0]], [LIMIT] * 3)
    plain = searched(compiled, made, sampling, wanted=False)
    found = searched(compiled, made, sampling, wanted=True)
    assert [digest for _, digest in plain] == [None] * 3
    assert [list(ids) for ids, _ in plain] == [list(ids) for ids, _ in found]
    wanted = [Given.of(one, ids) for one, (ids, _) in zip(made, plain, strict=True)]
    assert [digest for _, digest in found] == digests(golden, wanted)


def changed(ids: list[int]) -> st.SearchStrategy[list[int]]:
    """Draw wrong drafts, also with ids that no vocabulary has."""
    token = st.integers(-2, 2**70)
    place = st.integers(0, len(ids))
    return st.tuples(place, token).map(lambda pair: [*ids[: pair[0]], pair[1], *ids[pair[0] :]])


@settings(max_examples=25)
@given(data=st.data())
def test_only_the_result_is_confirmed(data: st.DataObject) -> None:
    golden, compiled = both("translation")
    source = data.draw(sources_of("translation"))
    (request,) = requests([source], [LIMIT])
    (right,) = golden.greedy([request])
    wrong = data.draw(st.lists(st.integers(0, VOCABULARY - 1), max_size=LIMIT + 1))
    found = confirmed(compiled, [Given.of(request, wrong)], VOCABULARY)
    assert (found != [None]) == (wrong == right)


def test_more_translations_than_are_read_at_once() -> None:
    made = requests([[3 + i % 30, 0] for i in range(150)], [3] * 150)
    found = reference().greedy(made)
    given = [Given.of(one, ids) for one, ids in zip(made, found, strict=True)]
    assert len(set(digests(both()[1], given))) > 20
    assert digests(both()[1], given) == digests(reference(), given)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12)
@given(data=st.data())
def test_logits_are_those_of_single_steps(kind: Kind, data: st.DataObject) -> None:
    """Every step of every path once, in order; equal sources, prefixes and other starts too."""
    golden, compiled = both(kind)
    tokens = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=LIMIT)
    sources = data.draw(st.lists(sources_of(kind), min_size=1, max_size=2))
    paths = [
        Path(
            source,
            data.draw(st.integers(-1, VOCABULARY - 1)),
            data.draw(tokens),
            data.draw(st.lists(st.integers(0, VOCABULARY - 1), max_size=3)),
        )
        for source in sources * data.draw(st.integers(1, 3))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("int8ref.engines.compiled.BLOCK_ROWS", data.draw(st.integers(1, 40)))
        found = rows_of(compiled.logits(paths), len(paths))
    for path, rows in zip(paths, found, strict=True):
        session = golden.session([path.ids])
        wanted = [session.step(np.array([token], np.int32))[0] for token in path.inputs]
        np.testing.assert_array_equal(rows, wanted)
    for rows, others in zip(found, rows_of(golden.logits(paths), len(paths)), strict=True):
        np.testing.assert_array_equal(rows, others)


def rows_of(pieces: Iterator[Piece], count: int) -> list[list[npt.NDArray[np.int32]]]:
    """The rows of each path, whose pieces follow one another."""
    found: list[list[npt.NDArray[np.int32]]] = [[] for _ in range(count)]
    for place, first, logits in pieces:
        assert first == len(found[place])
        found[place] += list(logits)
    return found


def test_paths_are_checked() -> None:
    for engine in both():
        for wrong in (Path([5, 0], 0, []), Path([5, 0], 0, [VOCABULARY]), Path([5, 0], 10**6, [1])):
            with pytest.raises((ValueError, IndexError)):
                list(engine.logits([wrong]))
