"""Times decoding beside llama2.c, whose programs read the same checkpoint, in turns:

python -m benchmarks.llama2c --run ./run --runq ./runq --tokenizer tokenizer.bin
python -m benchmarks.llama2c --run ./run --checkpoint stories260K/

`run` computes in float32.  `runq` computes with 8-bit weights in groups of 64.  Compile both
programs with `gcc -Ofast -march=native`.  Each measurement uses one thread, one text, and greedy
search.  Without --checkpoint, the model has random weights, and the shape of llama2.c's 110M model
or another shape.  The table reports the median over the rounds, half of the interquartile range,
and the ratio of int8ref's speed to each program.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.summary import paired_ratio, summarize
from int8ref.engines.backends import load_engine
from int8ref.engines.engine import Engine
from int8ref.search.request import Request
from weights_import import sources
from weights_import.calibrate import calibration
from weights_import.float_model import FloatModel
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

Float32 = npt.NDArray[np.float32]
SHAPE = "768,2048,12,12,12,32000,1024"
GROUP = 64
SPEED = re.compile(r"achieved tok/s: ([0-9.]+)")
PROJECTIONS = ("query", "key", "value", "output", "gate", "outer", "inner")


def random_weights(sizes: list[int]) -> dict[str, list[Float32]]:
    """Return Glorot-normal tensors of each kind, one for each layer, and the tied embedding."""
    d, ffn, layers, heads, key_heads, vocabulary, _ = sizes
    draw, keys = np.random.default_rng(1), d // heads * key_heads

    def normal(outputs: int, inputs: int) -> Float32:
        deviation = np.float32((2 / (outputs + inputs)) ** 0.5)
        return draw.standard_normal((outputs, inputs), np.float32) * deviation

    shapes = [(d, d), (keys, d), (keys, d), (d, d), (ffn, d), (d, ffn), (ffn, d)]
    found = {
        name: [normal(*shape) for _ in range(layers)]
        for name, shape in zip(PROJECTIONS, shapes, strict=True)
    }
    norms = {name: [np.ones(d, np.float32)] * layers for name in ("norm", "ffn_norm")}
    return found | norms | {"embedding": [normal(vocabulary, d)], "last": [np.ones(d, np.float32)]}


def write_floats(path: Path, sizes: list[int], weights: dict[str, list[Float32]]) -> None:
    """Write the first layout of llama2.c, for `run` and the importer."""
    order = ["embedding", "norm", *PROJECTIONS[:4], "ffn_norm", *PROJECTIONS[4:], "last"]
    turns = np.zeros((2, sizes[6], sizes[0] // sizes[3] // 2), np.float32)
    with path.open("wb") as file:
        file.write(struct.pack("<7i", *sizes))
        file.writelines(part.tobytes() for name in order for part in weights[name])
        file.write(turns.tobytes())


def write_groups(path: Path, sizes: list[int], weights: dict[str, list[Float32]]) -> None:
    """Write layout version 2, for `runq`: 8-bit weights, then the scale of each group of 64."""
    with path.open("wb") as file:
        header = struct.pack("<I8iBi", 0x616B3432, 2, *sizes, 1, GROUP)
        file.write(header.ljust(256, b"\0"))
        for name in ("norm", "ffn_norm", "last"):
            file.writelines(part.tobytes() for part in weights[name])
        for part in (part for name in ("embedding", *PROJECTIONS) for part in weights[name]):
            groups = part.reshape(-1, GROUP)
            scales = np.abs(groups).max(axis=1, keepdims=True) / np.float32(127)
            file.write(np.rint(groups / scales).astype(np.int8).tobytes() + scales.tobytes())


def imported(model: FloatModel) -> Engine:
    """Return the engine of the integer model.  Its random calibration data changes no time."""
    draw = np.random.default_rng(0)
    size, eos = model.generation.target_vocabulary, model.generation.eos
    texts = [[*draw.integers(3, size, 63).tolist(), eos] for _ in range(4)]
    found, options = calibration(model, texts), LoweringOptions(positions=1024)
    return load_engine(*lower(model, found.sources, found.targets, options))


def theirs(command: list[str | Path]) -> float:
    """Run a program of llama2.c.  Return the tokens per second that it reports."""
    program, *arguments = command
    command = [Path(program).resolve(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = SPEED.search(done.stderr)
    if found is None:
        raise SystemExit(f"{command[0]} told no speed: {done.stderr}")
    return float(found[1])


def ours(engine: Engine, tokens: int) -> float:
    """Return the tokens per second of int8ref."""
    begun = time.perf_counter()
    found = engine.greedy([Request((), tokens)])
    return (len(found[0]) or 1) / (time.perf_counter() - begun)


def contestants(
    given: argparse.Namespace, folder: Path
) -> Iterator[tuple[str, Callable[[], float]]]:
    """Yield the name and the measurement of each contestant."""
    checkpoint, groups = given.checkpoint, folder / "groups.bin"
    if checkpoint is None:
        checkpoint, sizes = folder / "model.bin", [int(size) for size in given.shape.split(",")]
        weights = random_weights(sizes)
        write_floats(checkpoint, sizes, weights)
        write_groups(groups, sizes, weights)
        shutil.copy(given.tokenizer, folder / "tokenizer.bin")
    checkpoint, *tokenizer = sources.files(checkpoint)
    yield "int8ref", partial(ours, imported(sources.read(checkpoint)), given.tokens)
    end = ["-z", *tokenizer, "-t", "0", "-n", str(given.tokens + 1), "-i", ""]
    yield "llama2.c, float32", partial(theirs, [given.run, checkpoint, *end])
    if given.runq and groups.exists():
        yield "llama2.c, 8-bit weights", partial(theirs, [given.runq, groups, *end])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="llama2.c's program for floats")
    parser.add_argument("--runq", type=Path, help="llama2.c's program for 8-bit weights")
    parser.add_argument("--checkpoint", type=Path, help="a model of llama2.c, in floats")
    parser.add_argument("--shape", default=SHAPE, help=f"of a random model (default: {SHAPE})")
    parser.add_argument("--tokenizer", type=Path, help="for a random model: tokenizer.bin")
    parser.add_argument("--tokens", type=int, default=255, help="of the text (default: 255)")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.checkpoint is None and given.tokenizer is None:
        parser.error("a random model needs a --tokenizer")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        measured = dict(contestants(given, Path(folder)))
        samples: dict[str, list[float]] = {name: [] for name in measured}
        order = list(measured)
        for number in range(-1, given.rounds):
            for name in order:
                speed = measured[name]()
                if number >= 0:
                    samples[name].append(speed)
            order = [*order[1:], order[0]]
    print("| | tokens/s | int8ref over it |\n|---|---|---|")
    for name, found in samples.items():
        summary, over = summarize(found), paired_ratio(samples["int8ref"], found)
        print(f"| {name} | {summary.median:,.1f} ± {summary.spread:.1%} | {over.median:.2f} |")


if __name__ == "__main__":
    main()
