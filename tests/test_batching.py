"""Batching: any limits give equal results in equal order, with bounded memory and a fast end."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.text import batching
from int8ref.text.batching import BatchLimits, in_order, make_batches
from tests.helpers.processes import TIMEOUT

limits_strategy = st.builds(
    BatchLimits,
    batch_size=st.integers(1, 9),
    batch_total=st.integers(1, 40),
    read_ahead=st.integers(1, 30),
    threads=st.integers(1, 4),
)
SMALL = BatchLimits(batch_size=4, batch_total=100, read_ahead=8, threads=2)


def square(batch: list[int]) -> list[int]:
    return [x * x for x in batch]


def flat(results: Iterator[list[int]], found: list[int] | None = None) -> list[int]:
    """Return all results.  After an error, `found` has the earlier results."""
    found = [] if found is None else found
    for some in results:
        assert some
        found += some
    return found


@given(st.lists(st.integers(0, 50)), limits_strategy)
def test_results_are_in_order_for_any_limits(items: list[int], limits: BatchLimits) -> None:
    assert flat(in_order(items, square, int, limits)) == square(items)


@given(st.lists(st.integers(0, 50)), limits_strategy)
def test_batches_hold_every_item_once_within_the_limits(
    lengths: list[int], limits: BatchLimits
) -> None:
    batches = make_batches(lengths, limits)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= limits.batch_size
        assert len(batch) == 1 or sum(lengths[i] for i in batch) <= limits.batch_total
    ordered = [lengths[i] for batch in batches for i in batch]
    assert ordered == sorted(lengths, reverse=True)


def test_few_items_are_spread_over_the_threads() -> None:
    limits = BatchLimits(batch_size=32, batch_total=1000, read_ahead=100, threads=4)
    assert [len(batch) for batch in make_batches([1] * 8, limits)] == [2, 2, 2, 2]


def test_a_lone_item_is_answered_before_the_next_is_asked_for() -> None:
    """A co-process: the source yields an item only after the answer to the item before."""
    answered = threading.Semaphore(1)

    def items() -> Iterator[int]:
        for number in range(20):
            assert answered.acquire(timeout=TIMEOUT)
            yield number

    found = []
    for results in in_order(items(), square, int, SMALL):
        found += results
        for _ in results:
            answered.release()
    assert found == square(list(range(20)))


def test_what_is_read_ahead_is_bounded() -> None:
    asked = 0

    def endless() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    done = 0
    for results in in_order(endless(), square, int, SMALL):
        done += len(results)
        time.sleep(0.001)
        assert asked - done <= 4 * SMALL.read_ahead
        if done > 300:
            break


def test_a_slow_item_holds_back_neither_memory_nor_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first item is in progress, the reader stops at the end of its windows."""
    most = waits = 0
    wait = batching.wait

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal waits
        waits += 1
        return wait(*arguments, **options)

    def work(batch: list[int]) -> list[int]:
        nonlocal most
        if 0 in batch:
            time.sleep(0.3)
        else:
            most = max(most, *batch)
        return batch

    monkeypatch.setattr(batching, "wait", counted)
    results = in_order(iter(range(1000)), work, lambda x: 1, SMALL)
    first = next(results)
    assert first[0] == 0
    assert most <= 3 * SMALL.read_ahead
    assert waits <= 3 * SMALL.read_ahead, "it waits, and does not spin"
    assert first + flat(results) == list(range(1000))


def test_an_error_of_the_items_comes_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(50)
        raise KeyError("item 50")

    found: list[int] = []
    with pytest.raises(KeyError, match="item 50"):
        flat(in_order(items(), square, int, SMALL), found)
    assert found == square(list(range(50)))


def test_an_error_of_the_work_is_raised_and_ends_the_threads() -> None:
    def work(batch: list[int]) -> list[int]:
        if 30 in batch:
            raise ZeroDivisionError
        return batch

    before = threading.active_count()
    found: list[int] = []
    with pytest.raises(ZeroDivisionError):
        flat(in_order(itertools.count(), work, lambda x: 1, SMALL), found)
    assert found == list(range(len(found)))
    assert len(found) <= 30
    wait_for_threads(before)


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    results = in_order(itertools.count(), square, int, SMALL)
    next(results)
    results.close()  # type: ignore[attr-defined]
    wait_for_threads(before)


def wait_for_threads(count: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while threading.active_count() > count:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)
