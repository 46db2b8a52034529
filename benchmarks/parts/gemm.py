"""int8 matrix products of int8ref and PyTorch, beside the limits of one core."""

from __future__ import annotations

from typing import Any

from benchmarks.environments import OWN
from benchmarks.loops import LOOPS
from benchmarks.parts.part import Contestant, Part, Ratio
from benchmarks.parts.random_models import preparations
from benchmarks.results import Results
from benchmarks.rounds import Block, Case
from benchmarks.setting import Setting
from benchmarks.summary import summarize

OURS, PEAK, READING = "int8ref", "peak", "reading, GB/s"
INT_MM, LINEAR = "torch._int_mm", "PyTorch dynamic int8 Linear"
MODEL = "base"
SIZES = ((1536, 512), (512, 512), (2048, 512), (512, 2048), (32_000, 512))
ROWS = (1, 4, 8, 32, 256, 512)
MOST_PRODUCTS = 512 * 2048 * 512
"""Largest product that is measured.  No model multiplies an output layer by hundreds of rows."""
TARGET_PRODUCTS = 100_000_000
"""Number of multiply-adds in one call of a worker."""
TARGET_BYTES = 256 << 20
"""Number of bytes that one call of a worker reads."""


def _folder(setting: Setting) -> dict[str, Any]:
    return {"folder": str(setting.models(MODEL))}


CONTESTANTS = (
    Contestant(OURS, OWN, "int8ref_gemm", _folder, preparations(MODEL, "int8ref")),
    Contestant(INT_MM, "torch", "torch_gemm", lambda _: {"kind": "int_mm"}),
    Contestant(LINEAR, "torch", "torch_gemm", lambda _: {"kind": "dynamic_linear"}),
    Contestant(PEAK, OWN, "peak", lambda _: {}),
    Contestant(READING, OWN, "reading", lambda _: {}),
)


def _blocks(setting: Setting) -> list[Block]:
    cases = [
        Case(PEAK, name, {"loop": name}, loop.operations() / 1e9) for name, loop in LOOPS.items()
    ]
    for size in sorted({outputs * inputs for outputs, inputs in SIZES}):
        repeats = TARGET_BYTES // size
        work = {"bytes": size, "repeats": repeats}
        cases.append(Case(READING, f"{size >> 10} KiB", work, size * repeats / 1e9))
    for rows in ROWS:
        for outputs, inputs in SIZES:
            products = rows * outputs * inputs
            if products > MOST_PRODUCTS:
                continue
            repeats = max(1, TARGET_PRODUCTS // products)
            name = f"{rows} x {outputs} x {inputs}"
            work = {"rows": rows, "outputs": outputs, "inputs": inputs, "repeats": repeats}
            operations = 2 * products * repeats / 1e9
            cases += [Case(who, name, work, operations) for who in (OURS, INT_MM, LINEAR)]
    return [Block("products", tuple(cases))]


def _notes(results: Results) -> list[str]:
    """Return each product's share of the peak, and its share of the nearer limit.

    The limits are the peak and the speed of reading: the core reads each weight once, for two
    operations a row.
    """
    series = [s for block in results.of("gemm") for s in block.series]
    speeds = {(s.contestant, s.case): s.units / summarize(s.cpu).median for s in series}
    peaks = {
        case: speed for (who, case), speed in speeds.items() if who == PEAK and LOOPS[case].exact
    }
    if not peaks:
        return []
    best = max(peaks, key=lambda case: peaks[case])
    ours = {case: speed for (who, case), speed in speeds.items() if who == OURS}
    shares = [f"{case}: {speed / peaks[best]:.2f}" for case, speed in ours.items()]
    limits = {}
    for case in ours:
        rows, outputs, inputs = map(int, case.split(" x "))
        reading = speeds.get((READING, f"{outputs * inputs >> 10} KiB"))
        if reading is not None:
            limits[case] = min(peaks[best], 2 * rows * reading)
    bounded = [f"{case}: {ours[case] / limit:.2f}" for case, limit in limits.items()]
    return [
        f"Peak of exact sums of int8 products: {best}, {peaks[best]:.0f} GOPS.",
        f"Share of it that int8ref reaches (processor time): {'; '.join(shares)}.",
        "Share of the nearer limit, that peak or the reading of the weights: "
        f"{'; '.join(bounded)}.",
    ]


PART = Part(
    name="gemm",
    title="Matrix products, rows x outputs x inputs (2 operations a multiply-add)",
    unit="GOPS",
    contestants=CONTESTANTS,
    blocks=_blocks,
    cases_are_rows=True,
    ratios=(Ratio(OURS, (INT_MM,)), Ratio(OURS, (LINEAR,))),
    notes=_notes,
)
