"""Times float checkpoints in PyTorch and their int8 models in int8ref, in turns, on one text:

python -m training.speed --source FILE RUN.safetensors ... MODEL.safetensors ...

Greedy search, one thread, text to text.  A checkpoint of the recipe runs in float32 with the
recipe's own search, which caches keys and values; a model file in the compiled engine.  Whoever
comes first in a round comes last in the next; the table tells medians over the rounds, half of the
distance between the quartiles, and the speed beside the first one named.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import torch

import int8ref
from training import export
from training.prepare import EOS
from training.search import translate
from training.text_files import read_lines

Translate = Callable[[list[str], int], object]
"""Translates lines in batches of a size."""


def in_float(path: Path) -> Translate:
    model, described = export.load(path)
    tokenizer = sentencepiece.SentencePieceProcessor(
        model_file=str(path.parent / described["tokenizer"])
    )

    def run(lines: list[str], batch: int) -> list[str]:
        rows = [[*ids, EOS] for ids in tokenizer.encode(lines)]
        return translate(model, tokenizer, rows, 1, batch)

    return run


def in_integers(path: Path, batch_sizes: list[int]) -> Translate:
    translators = {n: int8ref.load(path, batch_size=n) for n in batch_sizes}

    def run(lines: list[str], batch: int) -> list[str]:
        return [result.text for result in translators[batch].stream(lines)]

    return run


def contestant(path: Path, batch_sizes: list[int]) -> Translate:
    """A float checkpoint has its tokenizer beside it, a model file within."""
    beside = path.with_name(f"{path.stem}.tokenizer.model").exists()
    return in_float(path) if beside else in_integers(path, batch_sizes)


def measure(
    contestants: dict[str, Translate], lines: list[str], batch: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of every round, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for number in range(-1, rounds):
        for name in order:
            start = time.perf_counter()
            contestants[name](lines, batch)
            if number >= 0:
                seconds[name].append(time.perf_counter() - start)
        order = [*order[1:], order[0]]
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--source", required=True, help="text file, plain, .gz or .xz")
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 32])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = read_lines(Path(), [arguments.source])[: arguments.lines]
    words = sum(len(line.split()) for line in lines)
    contestants = {
        path.as_posix(): contestant(path, arguments.batch_sizes) for path in arguments.models
    }
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
