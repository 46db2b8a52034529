"""Batches for engines, from parallel lists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from int8ref.search import BeamOptions, Hypothesis, forced
from int8ref.search.decoder import Scorer
from int8ref.search.request import Path, Request

Batch = Sequence[Sequence[int]]


def requests(
    batch: Batch,
    limits: Sequence[int],
    candidates: Sequence[npt.NDArray[np.int32]] | None = None,
    prefixes: Batch | None = None,
    numbers: Sequence[int] | None = None,
) -> list[Request]:
    """A request a sentence; by default they are numbered from 0 on."""
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


def paths(batch: Batch, starts: Sequence[int], tokens: Batch) -> list[Path]:
    """A path a sentence."""
    return [Path(*each) for each in zip(batch, starts, tokens, strict=True)]


def score(engine: Scorer, batch: Batch, targets: Batch, options: BeamOptions) -> list[Hypothesis]:
    """Given translations, eos after each, as hypotheses."""
    program = engine.program
    whole = [[*target, program.eos] for target in targets]
    return forced.score(engine, paths(batch, [program.start] * len(batch), whole), options)
