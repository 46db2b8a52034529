"""Engines of models, requests to them, and all values that they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.engines.engine import Engine
from int8ref.files.model_file import Model
from int8ref.program import inputs
from int8ref.search import BeamOptions, Hypothesis, forced
from int8ref.search.decoder import Scorer, Session
from int8ref.search.request import Path, Request
from tests.helpers.machine_text import machine_text

Batch = list[list[int]]


def requests(
    batch: inputs.Batch,
    limits: Sequence[int],
    candidates: Sequence[NDArray[np.int32]] | None = None,
    prefixes: inputs.Batch | None = None,
    numbers: Sequence[int] | None = None,
) -> list[Request]:
    """Return one request for each sentence.  The default numbers are 0, 1, 2, ..."""
    rows = range(len(batch))
    return [
        Request(
            batch[row],
            limits[row],
            prefixes[row] if prefixes is not None else (),
            candidates[row] if candidates is not None else None,
            numbers[row] if numbers is not None else row,
        )
        for row in rows
    ]


def paths(batch: inputs.Batch, starts: Sequence[int], tokens: inputs.Batch) -> list[Path]:
    """Return one path for each sentence."""
    return [Path(*each) for each in zip(batch, starts, tokens, strict=True)]


def score(
    engine: Scorer, batch: inputs.Batch, targets: inputs.Batch, options: BeamOptions
) -> list[Hypothesis]:
    """Score given translations, each followed by eos.  Return hypotheses."""
    program = engine.program
    whole = [[*target, program.eos] for target in targets]
    return forced.score(engine, paths(batch, [program.start] * len(batch), whole), options)


def engines(model: Model) -> tuple[Engine, Engine]:
    """Return (reference, compiled)."""
    machine_text()
    reference, compiled = (
        load_engine(model.program, model.tensors, backend) for backend in BACKENDS[::-1]
    )
    return reference, compiled


class Trace:
    """All values that an engine computes, in order."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, NDArray[Any]]] = []

    def __call__(self, name: str, value: NDArray[Any]) -> None:
        self.seen.append((name, value.copy()))

    def assert_equal(self, other: Trace) -> None:
        assert [name for name, _ in self.seen] == [name for name, _ in other.seen]
        for (name, one), (_, two) in zip(self.seen, other.seen, strict=True):
            assert one.dtype == two.dtype, name
            np.testing.assert_array_equal(one, two, name)


def follow(session: Session, start: int, rows: int, steps: int) -> list[NDArray[np.int32]]:
    """Return the logits of some steps of greedy search. eos does not end a row."""
    ids, out = np.full(rows, start, np.int32), []
    for _ in range(steps):
        out.append(session.step(ids))
        ids = out[-1].argmax(axis=1).astype(np.int32)
    return out
