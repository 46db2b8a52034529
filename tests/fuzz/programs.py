"""Runs random valid Programs on both backends, natively between guard pages:

python -m tests.fuzz.programs [--first N] [--count N]

Every value of every instruction must be equal, and every search must give equal results.  The seed
determines the Program.  The seed is printed before the run, so that it is known after a crash.  The
last line lists the operations, and the optional operands that no Program had.

A long run works in pieces: `--count N --first F` prints the first seed of the next piece.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import time
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.engines import compiled
from int8ref.engines.backends import load_engine
from int8ref.engines.compiled import CompiledEngine
from int8ref.engines.engine import Engine
from int8ref.program.program import Program, decode, encode, takes_source
from int8ref.program.validate import validate
from int8ref.search import BeamOptions, Sampling
from int8ref.search.decoder import Session
from tests.fuzz.coverage import Coverage
from tests.fuzz.guarded import GuardedArrays, GuardedMemory, copied
from tests.fuzz.random_programs import RandomProgram, UnfinishedError
from tests.helpers.engines import paths, requests

STEPS = 4
Trace = list[tuple[str, NDArray[Any]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=200, help="how many Programs")
    options = parser.parse_args()
    faulthandler.enable()
    compiled.Memory = GuardedMemory  # type: ignore[assignment,misc]
    began, ran, drawn = time.monotonic(), 0, Coverage()
    for seed in count(options.first):
        if ran == options.count:
            break
        try:
            made = RandomProgram(seed)
        except UnfinishedError:
            continue
        print(f"\rseed {seed}", end="", file=sys.stderr, flush=True)
        check(made, seed)
        ran += 1
        drawn.add(made.program)
    print(
        f"\n{ran} programs are equal on both backends, with {len(drawn.operations)} operations,"
        f" in {time.monotonic() - began:.0f} s: {', '.join(drawn.operations)}"
    )
    print(f"no program had: {', '.join(drawn.missing) or 'nothing is missing'}")
    print(f"next seed: {seed}")
    return 0


def check(made: RandomProgram, seed: int) -> None:
    """Run a Program on both backends.  Raises AssertionError if the results differ."""
    program, random = made.program, np.random.default_rng(seed)
    assert decode(encode(program)) == program
    validate(program, made.tensors)
    tensors = {name: copied(tensor) for name, tensor in made.tensors.items()}
    native = CompiledEngine(program, tensors)
    native._prepared._made = GuardedArrays()
    golden = load_engine(program, made.tensors, "reference")
    batch = _batch(program, made.source_vocabulary, random)
    found = [_results(engine, batch, made.vocabulary, seed) for engine in (golden, native)]
    for one, two in zip(*found, strict=True):
        assert _equal(one, two), f"seed {seed}: {one} is not {two}"


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, tuple) and isinstance(one[1], np.ndarray):
        return bool(one[0] == two[0] and one[1].dtype == two[1].dtype and (one[1] == two[1]).all())
    return bool(one == two)


def _batch(program: Program, vocabulary: int, random: np.random.Generator) -> list[list[int]]:
    size = int(random.integers(1, 5))
    if not takes_source(program):
        return [[]] * size
    most = program.max_source_length - program.frame.size
    return [
        program.frame.around(random.integers(0, vocabulary, random.integers(1, most + 1)).tolist())
        for _ in range(size)
    ]


def _results(engine: Engine, batch: list[list[int]], vocabulary: int, seed: int) -> list[Any]:
    """Return all values, with rows moved between steps, and the results of the searches."""
    random = np.random.default_rng(seed)
    program, rows = engine.program, len(batch)
    trace: Trace = []
    if program.encodes:
        engine.session(batch, lambda name, value: trace.append((name, value.copy())))
        assert len(trace) >= len(program.encoder)
        return [*trace, ("output", engine.outputs(batch))]
    for observe in (lambda name, value: trace.append((name, value.copy())), None):
        session: Session = engine.session(batch, observe)
        size = rows
        for _ in range(STEPS):
            ids = random.integers(-1, vocabulary, size).astype(np.int32)
            trace.append(("logits", session.step(ids)))
            moved = random.integers(0, size, int(random.integers(1, 6)))
            session.select(moved)
            size = len(moved)
    most = 6
    limits = random.integers(1, most + 1, rows).tolist()
    candidates = [np.unique(random.integers(0, vocabulary, 9)).astype(np.int32) for _ in batch]
    prefixes = [random.integers(0, vocabulary, 2).tolist() for _ in batch]
    tokens = [random.integers(0, vocabulary, n).tolist() for n in limits]
    beams = BeamOptions(int(random.integers(1, 5)))
    return [
        *trace,
        engine.greedy(requests(batch, limits)),
        engine.greedy(requests(batch, limits, candidates, prefixes=prefixes)),
        engine.sample(requests(batch, limits, prefixes=prefixes), Sampling(seed=seed, top_k=3)),
        engine.beam(requests(batch, limits), beams),
        engine.beam(requests(batch, limits, candidates), beams),
        engine.beam(requests(batch, limits, candidates, prefixes=prefixes), beams),
        engine.log_probabilities(paths(batch, [program.start] * rows, tokens)),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
