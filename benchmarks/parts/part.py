"""What a part of the benchmark is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from benchmarks.results import Results
from benchmarks.rounds import Block
from benchmarks.setting import Preparation, Setting


@dataclass(frozen=True)
class Contestant:
    """A row of a part's table.

    worker       module of `benchmarks.workers`, run by the environment's Python
    options      what its engine is made with; may raise `UnavailableError`
    preparations what has to be made before, in this order
    """

    name: str
    environment: str
    worker: str
    options: Callable[[Setting], dict[str, Any]]
    preparations: Callable[[Setting], Iterable[Preparation]] = lambda setting: ()
    threads: int = 1


@dataclass(frozen=True)
class Ratio:
    """Speed of one contestant over that of another, or of the faster of several in each case."""

    over: str
    under: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """A part: who does what, and how it is told.

    unit    of the speeds, "words/s"; or "s", where the times themselves are told
    best    whether each contestant's best case is told besides
    notes   lines of Markdown that the report gets besides the tables
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
