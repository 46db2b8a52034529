"""How many int8 multiply-adds a core can do at most (`benchmarks.loops`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import assembly
from benchmarks.loops import LOOPS, TURNS

PACKAGES = ("llvmlite",)


class Engine:
    """Work: {"loop": a name of LOOPS}; a run does TURNS turns of it."""

    def __init__(self, options: dict[str, Any]) -> None:
        assembly.prepare()

    def prepare(self, work: dict[str, Any]) -> Callable[[], None]:
        loop = LOOPS[work["loop"]]
        assembly.require(loop.feature)
        return partial(assembly.function("peak", loop.assembly(), 1), TURNS)
