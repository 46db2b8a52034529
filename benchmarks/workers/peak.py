"""The largest number of int8 multiply-adds that a core can compute (`benchmarks.loops`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import assembly
from benchmarks.loops import LOOPS, TURNS

PACKAGES = ("llvmlite",)


class Engine:
    """Runs TURNS turns of a loop.

    work: {"loop": name in LOOPS}
    """

    def __init__(self, options: dict[str, Any]) -> None:
        assembly.prepare()

    def prepare(self, work: dict[str, Any]) -> Callable[[], None]:
        loop = LOOPS[work["loop"]]
        assembly.require(loop.feature)
        return partial(assembly.function("peak", loop.assembly(), 1), TURNS)
