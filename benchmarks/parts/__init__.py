"""The parts of the benchmark: one file a part, each with a `PART` or several `PARTS`."""

from __future__ import annotations

from benchmarks.parts import gemm, random_models, start, sweeps, threads, tiny11
from benchmarks.parts.part import Part

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        start.PART,
        tiny11.PART,
        threads.PART,
        random_models.SMALL,
        random_models.BASE,
        gemm.PART,
        sweeps.LENGTH_PART,
        sweeps.BATCH_PART,
    )
}
