"""Times one text on several threads, and checks that the threads change no bit:

python -m benchmarks.threads MODEL
python -m benchmarks.threads MODEL --threads 1,2,4,16,64 --tokens 512 --steps 32

A decoder reads a prompt of random tokens, and writes steps after it.  A translator translates a
sentence of random tokens.  Thread counts take turns, and the table reports the medians of the wall
times.  `--least-work 1` cuts even the smallest instructions.  With a tiny model, the last column
then shows what it costs to hand an instruction over to the team and to wait for it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.machine import describe
from benchmarks.tables import table
from int8ref.abi import team
from int8ref.engines import compiled
from int8ref.engines.compiled import CompiledEngine
from int8ref.files.model_file import Model, load
from int8ref.program.sizes import vocabulary_size
from int8ref.search.request import Request


class Times(NamedTuple):
    """Seconds of the first token, seconds of the next steps, and instructions in parts."""

    first: float
    rest: float
    shared: int


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    team.LEAST_WORK = given.least_work or team.LEAST_WORK
    compiled.LEAST_WEIGHTS = 0
    model = load(given.model)
    engines = {n: engine_of(model, n) for n in given.threads}
    found: dict[int, list[Times]] = {n: [] for n in engines}
    texts = set()
    for _ in range(given.rounds):
        for number, engine in engines.items():
            times, ids = measure(engine, model, given.tokens, given.steps)
            found[number].append(times)
            texts.add(tuple(ids))
    if len(texts) > 1:
        print("benchmarks.threads: the threads changed the text", file=sys.stderr)
        return 1
    head = ["threads", "first", "tokens/s", "steps/s", "in parts", "cost"]
    print("\n".join([str(describe()), "", *table(head, rows(found, given))]))
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.threads",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("model", help="a model file")
    made.add_argument("--threads", type=_numbers, default=[1, 2], help="default: 1,2")
    made.add_argument("--tokens", type=int, default=128, help="tokens of the text (default: 128)")
    made.add_argument("--steps", type=int, default=16, help="steps after it (default: 16)")
    made.add_argument("--rounds", type=int, default=5, help="default: 5")
    made.add_argument("--least-work", type=int, help="least work of a part, see abi/team.py")
    return made


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def engine_of(model: Model, threads: int) -> CompiledEngine:
    """An engine with so many cores."""
    kept = model.types, model.digest, model.name
    return CompiledEngine(model.program, model.tensors, *kept, threads)


def measure(
    engine: CompiledEngine, model: Model, tokens: int, steps: int
) -> tuple[Times, list[int]]:
    """Time a call of one step, and a call of more steps, which does the same and then goes on."""
    random = np.random.default_rng(0)
    ids = random.integers(3, vocabulary_size(model.program, model.tensors), tokens).tolist()
    source, prefix = (ids, []) if model.program.encoder else ([], ids)
    seconds, before, found = [], engine.cores.shared, [[0]]
    for limit in (1, 1 + steps):
        begun = time.perf_counter()
        found = engine.greedy([Request(source, limit, prefix)])
        seconds.append(time.perf_counter() - begun)
    return Times(seconds[0], seconds[1] - seconds[0], engine.cores.shared - before), found[0]


def rows(found: dict[int, list[Times]], given: argparse.Namespace) -> list[list[str]]:
    """The rows of the table: medians, and the cost of an instruction in parts over one thread."""
    made, alone = [], 0.0
    for number, times in found.items():
        first, rest = (statistics.median(column) for column in list(zip(*times, strict=True))[:2])
        whole, shared = 2 * first + rest, times[0].shared
        alone = alone or whole
        cost = f"{1e6 * (whole - alone) / shared:.1f} us" if shared else "-"
        speeds = f"{given.tokens / first:.0f}", f"{given.steps / rest:.1f}"
        made.append([str(number), f"{1e3 * first:.1f} ms", *speeds, str(shared), cost])
    return made


if __name__ == "__main__":
    sys.exit(main())
