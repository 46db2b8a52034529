"""Times float checkpoints in PyTorch and their int8 models in int8ref, in turns, on one text:

python -m training.speed --source FILE RUN.safetensors ... MODEL.safetensors ...

Each measurement uses greedy search, one thread, and text as input and output.  A checkpoint of the
recipe runs in float32 with the search of the recipe, which caches keys and values.  A model file
runs in the compiled engine.  The first model of a round is the last model of the next round.  The
table reports the median over the rounds, half of the interquartile range, and the speed relative to
the first model of the command line.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from training.text_files import read_lines
from training.translators import Translate, translator


def measure(
    contestants: dict[str, Translate], lines: list[str], batch: int, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of every round, after one warm-up round."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for number in range(-1, rounds):
        for name in order:
            start = time.perf_counter()
            contestants[name](lines, 1, batch)
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
        order = [*order[1:], order[0]]
    return seconds


def main(command: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--source", required=True, help="text file, plain, .gz or .xz")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32])
    arguments = parser.parse_args(command)
    torch.set_num_threads(1)
    lines = read_lines(Path(), [arguments.source])[: arguments.lines]
    words = sum(len(line.split()) for line in lines)
    contestants = {path.as_posix(): translator(path) for path in arguments.models}
    print("| model | batch | words/s | spread | beside the first |\n|---|---|---|---|---|")
    for batch in arguments.batch_sizes:
        seconds = measure(contestants, lines, batch, arguments.rounds)
        first = seconds[next(iter(seconds))]
        for name, taken in seconds.items():
            low, middle, high = statistics.quantiles(taken, n=4, method="inclusive")
            ratio = statistics.median(a / b for a, b in zip(first, taken, strict=True))
            cells = name, batch, f"{words / middle:,.0f}", f"{(high - low) / 2 / middle:.1%}"
            print(f"| {' | '.join(map(str, cells))} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
