"""`python -m benchmarks.ops`: what each instruction of a step costs, and whether that has risen.

Every instruction of a random Transformer is timed by itself, in the machine code that translations
run, on the values of a batch.  `--save` keeps the figures, `--compare` shows what has changed since
and fails where anything has become slower by more than `--tolerance`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.environments import UnavailableError
from benchmarks.instructions import REPEATS, instructions
from benchmarks.machine import describe, pin, processors
from benchmarks.parts.random_models import preparations
from benchmarks.peers import default_cache
from benchmarks.setting import Setting
from benchmarks.shapes import SHAPES, random_batch
from benchmarks.tables import table
from int8ref.engines.compiled import CompiledEngine
from int8ref.files.model_file import load

WINDOWS, WINDOW_SECONDS = 20, 0.002
TOLERANCE = 15
LEAST_US = 0.5
"""A smaller change is not reported."""
LENGTH = 32
REFERENCE = "reference"

Figures = dict[str, dict[str, float]]
"""Name -> {"count": number of instructions, "us": time to run each of them once, microseconds}."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.ops", description=__doc__)
    add = made.add_argument
    add("--shape", choices=tuple(SHAPES), default="tiny11", help="default: %(default)s")
    add("--batch", default="1,32", help="numbers of sentences (default: %(default)s)")
    add("--save", type=Path, metavar="FILE", help="keep the figures")
    add("--compare", type=Path, metavar="FILE", help="figures kept before, of the same shape")
    add(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="PERCENT",
        help="slower by more than this is a regression (default: %(default)s)",
    )
    add("--cpu", type=int, help="processor to pin to (default: the last one allowed)")
    add("--cache", type=Path, default=default_cache(), help="folder of prepared models")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command.  Return 0, 1 after a regression, or 2 without a model."""
    options = parser().parse_args(arguments)
    cpu = processors()[-1] if options.cpu is None else options.cpu
    setting = Setting(options.cache.resolve(), Path(), 0, [cpu])
    try:
        for preparation in preparations(options.shape, "int8ref")(setting):
            setting.prepare(preparation)
    except UnavailableError as error:
        print(f"benchmarks.ops: error: {error}", file=sys.stderr)
        return 2
    pin([cpu])
    figures: Figures = {}
    for size in map(int, options.batch.split(",")):
        figures |= time_all(setting.models(options.shape), options.shape, size)
    print("\n".join(report(figures)))
    if options.save:
        options.save.write_text(json.dumps({"machine": describe(), "figures": figures}, indent=1))
    if options.compare:
        before = json.loads(options.compare.read_text())
        if before["machine"] != describe():
            print("These were measured on another machine:", before["machine"]["cpu"])
        lines, slower = compare(before["figures"], figures, options.tolerance)
        print("\n".join(["", *lines]))
        return 1 if slower else 0
    return 0


def time_all(folder: Path, shape: str, size: int) -> Figures:
    """Time every instruction of the encoder and of a decoder step.  Add up equal instructions."""
    model = load(folder / "int8ref.safetensors")
    engine = CompiledEngine(model.program, model.tensors)
    batch = random_batch(SHAPES[shape], size, LENGTH)
    timed = list(instructions(model.program, model.tensors, engine.code(coarse_head=True), batch))
    names = [f"{shape}, batch {size}, {t.sequence}, {t.label}" for t in timed]
    costs = seconds([*(t.run for t in timed), reference])
    figures: Figures = defaultdict(lambda: {"count": 0, "us": 0.0})
    for name, cost in zip([*names, REFERENCE], costs, strict=True):
        figures[name]["count"] += 1
        figures[name]["us"] += 1e6 * cost
    return dict(figures)


def seconds(runs: Sequence[Callable[[int], None]]) -> list[float]:
    """Return the processor seconds of each instruction: the minimum over several windows.

    A window repeats one instruction.  Other work on the machine can only add time.  The windows of
    one instruction are far apart, because the windows of all other instructions lie between them.
    Therefore one disturbance does not affect all windows of an instruction.
    """
    counts = [max(1, min(REPEATS, int(WINDOW_SECONDS / _window(run, 2)))) for run in runs]
    pairs = list(zip(runs, counts, strict=True))
    turns = [[_window(run, count) for run, count in pairs] for _ in range(WINDOWS)]
    return [min(windows) for windows in zip(*turns, strict=True)]


def reference(count: int) -> None:
    """Do work that is independent of int8ref.  It shows the current speed of the processor."""
    for _ in range(count):
        sum(range(1000))


def _window(run: Callable[[int], None], count: int) -> float:
    start = time.thread_time()
    run(count)
    return max(time.thread_time() - start, 1e-9) / count


def report(figures: Figures) -> list[str]:
    """Return a table for each batch and sequence, by falling cost, with shares of the sum."""
    groups: dict[str, list[tuple[str, dict[str, float]]]] = defaultdict(list)
    for name, figure in figures.items():
        if name == REFERENCE:
            continue
        group, label = name.rsplit(", ", 1)
        groups[group].append((label, figure))
    lines = []
    for group, found in groups.items():
        total = sum(figure["us"] for _, figure in found)
        rows = [
            [
                label,
                f"{figure['count']:.0f}",
                f"{figure['us']:.1f}",
                f"{100 * figure['us'] / total:.1f}",
            ]
            for label, figure in sorted(found, key=lambda pair: -pair[1]["us"])
        ]
        rows.append(["all", str(sum(int(row[1]) for row in rows)), f"{total:.1f}", "100.0"])
        lines += ["", f"{group}:", "", *table(["instruction", "count", "us", "%"], rows)]
    return lines


def compare(before: Figures, after: Figures, tolerance: float) -> tuple[list[str], list[str]]:
    """Return a table of changes above `tolerance` per cent, and the names of slower instructions.

    A change is relative to the change of the reference, because the speed of the processor may
    differ.  The table also lists instructions that only one of the two measurements has.
    """
    pace = after[REFERENCE]["us"] / before[REFERENCE]["us"]
    rows: list[Sequence[str]] = []
    slower = []
    for name in sorted((before.keys() | after.keys()) - {REFERENCE}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            rows.append([name, *(f"{f['us']:.1f}" if f else "-" for f in (old, new)), ""])
            continue
        change = 100 * (new["us"] / old["us"] / pace - 1)
        if abs(new["us"] - old["us"]) < LEAST_US or abs(change) <= tolerance:
            continue
        rows.append([name, f"{old['us']:.1f}", f"{new['us']:.1f}", f"{change:+.0f}"])
        if change > 0:
            slower.append(name)
    none = [f"Nothing has changed by more than {tolerance:g} %."]
    told = f"The processor: {100 * (pace - 1):+.0f} % of time for the same work."
    return [told, "", *(table(["instruction", "us before", "us now", "%"], rows) or none)], slower


if __name__ == "__main__":
    sys.exit(main())
