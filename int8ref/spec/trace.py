"""Intermediate values of operations: the numbers that hardware has in registers.

The operations of `int8ref.reference` and the primitives call `note` for each such number.  A call
of `note` reads a number and changes nothing.  Without a trace it does nothing at all.

    with tracing() as trace:
        linear(x, weight, bias)
    trace.arrays()["acc"]

The names are the names in the formula of the operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Place = tuple[slice | Array, int]
"""The rows of a part of a value, and the index of its head."""


class Trace:
    """The intermediate values of one operation, in the order of computation."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self._found: dict[str, list[tuple[Place | None, Array]]] = {}

    def add(self, name: str, value: Any) -> None:
        """Keep a copy of a value, at the place of the moment."""
        copy = np.array(value, np.int64)
        self._found.setdefault(name, []).append((self.place, copy))

    def arrays(self) -> dict[str, Array]:
        """Return name -> int64 array.

        An operation with heads computes parts of a value.  The parts are assembled as
        [rows, heads, n].  n is the largest length of a part, and shorter parts end with zeros.
        """
        return {name: _assembled(parts) for name, parts in self._found.items()}


_trace: ContextVar[Trace | None] = ContextVar("_trace", default=None)


def note(name: str, value: Any) -> None:
    """Report an intermediate value."""
    trace = _trace.get()
    if trace is not None:
        trace.add(name, value)


@contextmanager
def tracing() -> Iterator[Trace]:
    """Keep all values that operations of this thread report inside the `with` block."""
    made = Trace()
    token = _trace.set(made)
    try:
        yield made
    finally:
        _trace.reset(token)


@contextmanager
def of_head(rows: slice | Array, head: int) -> Iterator[None]:
    """The values inside the `with` block are of some rows and of one head."""
    trace = _trace.get()
    if trace is None:
        yield
        return
    before, trace.place = trace.place, (rows, head)
    try:
        yield
    finally:
        trace.place = before


def _assembled(parts: list[tuple[Place | None, Array]]) -> Array:
    """One array of all parts.  A value without a place has one part."""
    if parts[0][0] is None:
        return parts[-1][1]
    placed = [(_rows(place[0], len(x)), place[1], x) for place, x in parts if place is not None]
    heads = 1 + max(head for _, head, _ in placed)
    rows = 1 + max(int(at.max(initial=-1)) for at, _, _ in placed)
    whole = np.zeros((rows, heads, max(x.shape[1] for _, _, x in placed)), np.int64)
    for at, head, x in placed:
        whole[at, head, : x.shape[1]] = x
    return whole


def _rows(rows: slice | Array, count: int) -> Array:
    """The numbers of the rows of a part with `count` rows."""
    if isinstance(rows, slice):
        return np.arange(rows.start or 0, (rows.start or 0) + count)
    return rows
