"""Batches of texts of many requests: turns, errors, limits, and requests that are given up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from int8ref.serving.batcher import Batcher
from int8ref.serving.service_errors import ServiceError

Taken = list[tuple[str, list[str]]]


class Work:
    """Turns texts into capitals, as soon as the gate is open.

    taken  the batches: their kinds and texts
    again  number of texts that are computed again, alone
    begun  is set when a batch begins
    """

    def __init__(self) -> None:
        self.gate, self.begun = threading.Event(), threading.Event()
        self.taken: Taken = []
        self.again = 0

    def __call__(self, kind: str, texts: Sequence[str]) -> list[str]:
        self.taken.append((kind, list(texts)))
        self.begun.set()
        assert self.gate.wait(60)
        if "bad" in texts:
            self.again += len(texts) * (len(texts) > 1)
            raise ValueError("bad")
        return [text.upper() for text in texts]


@contextmanager
def batcher(work: Work, size: int = 4, most: int = 1000) -> Iterator[Batcher[str]]:
    told: list[int] = []
    found: Batcher[str] = Batcher(work, size, 1, most, told.append)
    try:
        yield found
    finally:
        work.gate.set()
        found.close()
    assert sum(told) == sum(len(texts) for _, texts in work.taken) - work.again


async def behind(
    work: Work, found: Batcher[str], others: Callable[[], Sequence[Awaitable[Any]]]
) -> list[Any]:
    """Start requests while the thread is busy with another text, then open the gate."""
    first = asyncio.create_task(found.results("first", ["x"]))
    while not work.begun.is_set():
        await asyncio.sleep(0)
    tasks = [asyncio.ensure_future(other) for other in others()]
    for _ in range(5):  # all of them begin, and the impatient one gives up
        await asyncio.sleep(0)
    work.gate.set()
    assert await first == ["X"]
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_waiting_texts_share_a_batch_and_take_turns() -> None:
    """The requests of a kind take turns, and then the kinds."""
    work = Work()
    with batcher(work) as found:
        results = asyncio.run(
            behind(
                work,
                found,
                lambda: [
                    found.results("a", ["a1", "a2", "a3", "a4"]),
                    found.results("a", ["b1"]),
                    found.results("c", ["c1"]),
                ],
            )
        )
    assert results == [["A1", "A2", "A3", "A4"], ["B1"], ["C1"]]
    assert work.taken[1:] == [("a", ["a1", "b1", "a2", "a3"]), ("c", ["c1"]), ("a", ["a4"])]


def test_a_text_that_fails_harms_no_other() -> None:
    work = Work()
    with batcher(work) as found:
        bad, good = asyncio.run(
            behind(
                work,
                found,
                lambda: [found.results("a", ["bad", "more"]), found.results("a", ["good"])],
            )
        )
    assert isinstance(bad, ValueError)
    assert good == ["GOOD"]


def test_texts_of_a_request_that_is_given_up_are_not_computed() -> None:
    work = Work()

    async def give_up(found: Batcher[str]) -> None:
        async with asyncio.timeout(0):
            await found.results("a", ["never", "never"])

    with batcher(work) as found:
        gone, kept = asyncio.run(
            behind(work, found, lambda: [give_up(found), found.results("b", ["kept"])])
        )
        assert found.waiting == 0
    assert isinstance(gone, TimeoutError)
    assert kept == ["KEPT"]
    assert [kind for kind, _ in work.taken] == ["first", "b"]


def test_the_queue_is_limited() -> None:
    work = Work()
    with batcher(work, most=3) as found:
        some, many, few = asyncio.run(
            behind(
                work,
                found,
                lambda: [
                    found.results("a", ["1", "2"]),
                    found.results("a", ["3", "4"]),
                    found.results("a", ["5"]),
                ],
            )
        )
    assert (some, few) == (["1", "2"], ["5"])
    assert isinstance(many, ServiceError)
    assert many.status == 503


def test_no_texts_need_no_batch() -> None:
    work = Work()
    with batcher(work) as found:
        assert asyncio.run(found.results("a", [])) == []
    assert work.taken == []


@pytest.mark.parametrize("size", [1, 3, 64])
def test_no_batch_size_changes_a_result(size: int) -> None:
    work = Work()
    work.gate.set()

    async def all_at_once(found: Batcher[str]) -> list[list[str]]:
        jobs = [found.results("ab"[i % 2], [f"t{i}", f"u{i}"] * (i % 5)) for i in range(40)]
        return await asyncio.gather(*jobs)

    with batcher(work, size) as found:
        results = asyncio.run(all_at_once(found))
    assert results == [[f"T{i}", f"U{i}"] * (i % 5) for i in range(40)]
