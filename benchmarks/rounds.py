"""Interleaved measurement.  In a round, every contestant does each case once: A B C, B C A, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.client import WorkerError
from benchmarks.results import BlockResults, Series

OUTPUT_CHARACTERS = 300

Say = Callable[[str], None]


class Answers(Protocol):
    """A started contestant."""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Case:
    """The work of one contestant.  `units`: amount of the work, such as source words."""

    contestant: str
    name: str
    work: dict[str, Any]
    units: float


@dataclass(frozen=True)
class Block:
    """Cases that are compared with each other, and therefore measured together."""

    name: str
    cases: tuple[Case, ...]


def measure(
    part: str,
    block: Block,
    workers: Mapping[str, Answers],
    rounds: int,
    seconds: float,
    say: Say,
) -> BlockResults:
    """Warm up every case, then measure rounds.

    A sample is the mean over the runs that begin within `seconds`.  The order rotates by one from
    round to round, so that a contestant does not always follow the same contestant.  A case that
    fails is left out with its reason, and its earlier samples are dropped.
    """
    results = BlockResults(part, block.name)
    ready: list[tuple[Case, Series]] = []
    expected = 0.0
    for case in block.cases:
        if case.contestant not in workers:
            continue
        request = {"do": "prepare", "name": _key(block, case), "work": case.work}
        try:
            answer = workers[case.contestant].ask(request)
        except WorkerError as error:
            results.skipped[f"{case.contestant}, {case.name}"] = str(error)
            continue
        output = str(answer["output"])[:OUTPUT_CHARACTERS]
        series = Series(case.contestant, case.name, case.units, answer["memory"], output)
        ready.append((case, series))
        expected += max(answer["seconds"], seconds)
        say(f"{part}: {block.name}: {case.contestant}, {case.name}: {answer['seconds']:.2f} s")
    say(f"{part}: {block.name}: {rounds} rounds of about {expected:.0f} s")
    for number in range(rounds):
        turn = number % max(len(ready), 1)
        for case, series in [*ready[turn:], *ready[:turn]]:
            request = {"do": "time", "name": _key(block, case), "seconds": seconds}
            try:
                answer = workers[case.contestant].ask(request)
            except WorkerError as error:
                results.skipped[f"{case.contestant}, {case.name}"] = str(error)
                ready = [pair for pair in ready if pair[0] is not case]
                continue
            series.wall.append(answer["wall"])
            series.cpu.append(answer["cpu"])
            series.same = series.same and answer["same"]
    results.series = [series for _, series in ready]
    return results


def _key(block: Block, case: Case) -> str:
    return f"{block.name}, {case.name}"
