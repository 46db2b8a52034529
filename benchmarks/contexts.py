"""Times a step of attention over long histories, as a share of what the machine can read:

python -m benchmarks.contexts
python -m benchmarks.contexts --heads 32 --group 8 --keys 8192,131072

Each layer has a history of its own.  A step reads the keys and values of all layers once.  There
are as many layers as are needed for --megabytes of histories, so that a step reads from memory and
not from a cache.  The read rate is that of a plain loop over as many bytes, on the same pages.
Both take turns, and the table reports the medians.  One thread runs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from benchmarks.machine import describe, pin, processors
from benchmarks.tables import table
from int8ref.abi.call import RUN
from int8ref.engines.compiled import Call
from int8ref.kernels.attention_scores import largest_score
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.model.assemble import Assembler, Code, attentions
from int8ref.machine.model.places import FOREVER, allocate
from int8ref.machine.model.prepare import Prepared
from int8ref.program.program import SOURCE_INPUTS
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.spec.scope import ValueType

ROUNDS = 7


class Shape(NamedTuple):
    """The heads of queries, the heads that share keys, and the columns of a head."""

    heads: int
    group: int
    width: int

    @property
    def key_width(self) -> int:
        """The columns of a row of keys."""
        return self.heads // self.group * self.width

    def layers(self, keys: int, size: int) -> int:
        """The number of layers whose histories take at least `size` bytes."""
        return max(1, -(-size // (2 * keys * self.key_width)))


class Step:
    """The attentions of one step of a text that has `keys` tokens.  `run()` runs it once."""

    def __init__(self, shape: Shape, keys: int, layers: int) -> None:
        self.bytes = 2 * layers * keys * shape.key_width
        names = [f"{part}{n}" for n in range(layers) for part in ("key", "value")]
        types = {**SOURCE_INPUTS, "query": ValueType("target", "int8", shape.heads * shape.width)}
        types |= {"out": types["query"]}
        types |= dict.fromkeys(names, ValueType("history", "int8", shape.key_width))
        random, heads = np.random.default_rng(0), shape.heads
        tensors = {
            "multiplier": np.full(heads, 3000, np.int32),
            "limit": np.full(heads, 350_000, np.int32),
            "context_multiplier": np.full(heads, 1 << 30, np.int32),
            "context_shift": np.full(heads, 30, np.int8),
        }
        sequence = [self._attention(shape, n) for n in range(layers)]
        places = allocate(types, dict.fromkeys(types, (-1, FOREVER)), {})
        pieces = dict.fromkeys(names, shape.width)
        assembler = Assembler(places, Prepared(tensors, types, {}), pieces=pieces)
        self._rows, self._memory = assembler.code(sequence), Memory()
        nothing = self._rows[:0]
        code = Code(
            encoder=self._rows, decoder=nothing, greedy_decoder=nothing, shared_rows=0,
            states=nothing, targets=nothing, places=places.by_name, pitches=pieces,
            row_bytes=places.row_bytes, depth=1, attentions=attentions(sequence), scratch_bytes=0,
            takes_source=False, kept=assembler.kept,
        )  # fmt: skip
        self._code, self._arena = code, Arena(code, self._memory, [[]], 1, keys)
        self._arena.set_rows("target", 1)
        self._arena.set_rows("history", keys)
        self._arena.set_value(
            "query", random.integers(-127, 128, (1, heads * shape.width), np.int8)
        )
        for name in names:
            rows = random.integers(-127, 128, (1, keys, shape.key_width), np.int8)
            self._arena.set_value(name, rows)
        self._call = Call(RUN, self._memory, self._arena.address)
        self._call.set(code=self._rows.ctypes.data, code_rows=len(self._rows))

    def run(self) -> None:
        """Run all attentions."""
        self._call.run()

    @staticmethod
    def _attention(shape: Shape, layer: int) -> AttentionSoftmax:
        return AttentionSoftmax(
            query="query", key=f"key{layer}", value=f"value{layer}", heads=shape.heads,
            head_width=shape.width, group=shape.group, query_column=0, key_column=0,
            value_column=0, context_multiplier="context_multiplier", context_shift="context_shift",
            score_multiplier="multiplier", score_limit="limit", score_shift=16, out="out",
        )  # fmt: skip


@njit(nogil=True)
def _read(address: int, count: int) -> int:
    found: int = largest_score(address, count)
    return found


class Reader:
    """A plain loop over `size` bytes."""

    def __init__(self, size: int) -> None:
        self._memory = Memory()
        self._numbers, self._address = self._memory.array((size // 4,), np.int32)
        self._numbers[...] = 1

    def run(self) -> None:
        """Read all bytes once."""
        _read(self._address, len(self._numbers))


def medians(runs: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """Return the median processor seconds of each function; they take turns."""
    for run in runs:
        run()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, times, strict=True):
            begin = time.thread_time()
            run()
            found.append(time.thread_time() - begin)
    return [statistics.median(found) for found in times]


def measure(shape: Shape, keys: int, size: int, rounds: int) -> list[str]:
    """Return a row of the table."""
    layers = shape.layers(keys, size)
    step = Step(shape, keys, layers)
    reader = Reader(step.bytes)
    ours, plain = medians([step.run, reader.run], rounds)
    rates = [step.bytes / seconds / 1e9 for seconds in (ours, plain)]
    numbers = f"{ours / layers * 1e6:,.0f}", *(f"{rate:.1f}" for rate in rates)
    return [f"{keys:,}", str(layers), f"{step.bytes / 1e6:,.0f}", *numbers, f"{plain / ours:.2f}"]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.contexts", description=__doc__)
    add: Any = made.add_argument
    add("--keys", default="1000,8192,32768", help="tokens of a text (default: %(default)s)")
    add("--heads", type=int, default=12, help="heads of queries (default: %(default)s)")
    add("--group", type=int, default=1, help="heads that share keys (default: %(default)s)")
    add("--width", type=int, default=64, help="columns of a head (default: %(default)s)")
    add("--megabytes", type=int, default=200, help="size of histories (default: %(default)s)")
    add("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    add("--cpu", type=int, help="processor to pin to (default: the last one allowed)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    given = parser().parse_args(arguments)
    pin([processors()[-1] if given.cpu is None else given.cpu])
    shape = Shape(given.heads, given.group, given.width)
    rows = [
        measure(shape, int(keys), given.megabytes * 10**6, given.rounds)
        for keys in given.keys.split(",")
    ]
    print(", ".join(f"{name}: {told}" for name, told in describe().items()))
    head = ["keys", "layers", "MB", "us a layer", "GB/s", "read GB/s", "share"]
    print("\n".join(["", *table(head, rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
