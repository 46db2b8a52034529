"""Declares the contents of a part of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.results import Results
from benchmarks.rounds import Block
from benchmarks.setting import Preparation, Setting


@dataclass(frozen=True)
class Contestant:
    """A row of the table of a part.

    worker        module of `benchmarks.workers`.  The Python of `environment` runs it.
    options       returns the options of the engine; may raise `UnavailableError`
    preparations  returns the preparations, which run in this order before the measurement
    """

    name: str
    environment: str
    worker: str
    options: Callable[[Setting], dict[str, Any]]
    preparations: Callable[[Setting], Iterable[Preparation]] = lambda setting: ()
    threads: int = 1


@dataclass(frozen=True)
class Ratio:
    """Speed of `over` divided by the speed of the fastest contestant of `under` in each case."""

    over: str
    under: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A part: the contestants, their work, and the tables of the report.

    unit    unit of the speeds, such as "words/s".  "s": the report shows times.
    best    True: the report also shows the best case of each contestant
    notes   returns lines of Markdown that follow the tables
    """

    name: str
    title: str
    unit: str
    contestants: tuple[Contestant, ...]
    blocks: Callable[[Setting], list[Block]]
    ratios: tuple[Ratio, ...] = ()
    best: bool = False
    cases_are_rows: bool = False
    notes: Callable[[Results], list[str]] = lambda results: []
