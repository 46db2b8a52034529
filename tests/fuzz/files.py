"""Runs the commands on model files that were changed, with a true digest:

python -m tests.fuzz.files [--first N] [--count N]

An accepted file gives the same text on both backends.  A rejected file gives one line and the exit
status 1.  No file ends the process by a signal or an exception.  No file takes more than SECONDS of
processor time or more than MEMORY bytes.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from int8ref import generate, perplexity, score, translate, vectors
from int8ref.files.model_file import serialize
from int8ref.machine.toolchain.native import machine
from tests.fuzz.children import in_a_child
from tests.fuzz.mutations import mutated
from tests.helpers.models import Kind, build_tiny_model

SECONDS = 60
MEMORY = 4 << 30
"""Address space beyond the initial address space of the process."""
BLOCK = 50
TEXTS = ["The cat sat.", "A dog"]
Command = tuple[Callable[[list[str]], int], list[str]]
TRANSLATE: list[Command] = [
    (translate.main, ["--max-length", "6", *TEXTS]),
    (translate.main, ["--max-length", "6", "--beam-size", "3", "--n-best", "2", *TEXTS]),
    (translate.main, ["--max-length", "6", "--scores", "token", "--alignment", "soft", *TEXTS]),
    (translate.main, ["--max-length", "6", "--temperature", "0.9", "--top-k", "5", *TEXTS]),
    (score.main, ["--scores", "token", "SOURCE", "TARGET"]),
    (vectors.main, ["--steps", "3", "-o", "ARCHIVE", TEXTS[0]]),
]
GENERATE: list[Command] = [
    (generate.main, ["--max-tokens", "6", *TEXTS]),
    (generate.main, ["--max-tokens", "6", "--temperature", "0.9", *TEXTS]),
    (perplexity.main, ["--window", "9", "-i", "SOURCE"]),
    (vectors.main, ["--steps", "3", "-o", "ARCHIVE", TEXTS[0]]),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=2000, help="how many files")
    options = parser.parse_args()
    faulthandler.enable()
    machine()
    began, ends = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["INT8REF_CACHE"] = folder
        check = partial(_check, Path(folder), _originals())
        seeds = range(options.first, options.first + options.count)
        for at in range(0, len(seeds), BLOCK):
            ends += in_a_child(check, seeds[at : at + BLOCK], SECONDS, MEMORY)
    print(f"{options.count} files in {time.monotonic() - began:.0f} s: {dict(ends)}")
    return 0


def _originals() -> list[tuple[bytes, bool]]:
    """Return the bytes of the files, and whether their models translate."""
    seeds: dict[Kind, int] = {
        "recurrent": 2,
        "translation": 6,
        "decoder": 0,
        "rotary": 1,
        "capped": 3,
    }
    models = [build_tiny_model(seed, kind) for kind, seed in seeds.items()]
    return [(serialize(model), bool(model.program.encoder)) for model in models]


def _check(folder: Path, originals: list[tuple[bytes, bool]], seed: int) -> str:
    """Return the outcome of a changed file.  Raises any error for a wrong outcome."""
    random = np.random.default_rng(seed)
    content, translates = originals[int(random.integers(len(originals)))]
    path = folder / "changed.safetensors"
    path.write_bytes(mutated(content, random))
    commands = TRANSLATE if translates else GENERATE
    command, options = commands[int(random.integers(len(commands)))]
    files = {name: folder / name.lower() for name in ("SOURCE", "TARGET", "ARCHIVE")}
    for name, text in zip(("SOURCE", "TARGET"), (TEXTS, TEXTS[::-1]), strict=True):
        files[name].write_text("\n".join(text) + "\n")
    arguments = ["-m", str(path), *(str(files.get(option, option)) for option in options)]
    found = []
    for backend in ("compiled", "reference"):
        files["ARCHIVE"].unlink(missing_ok=True)
        status, out, told = _run(partial(command, [*arguments, "--backend", backend]), folder)
        archive = files["ARCHIVE"].read_bytes() if files["ARCHIVE"].exists() else b""
        found.append((status, out, archive, told))
    (status, *results, told), (other, *others, _) = found
    assert (status, results) == (other, others), f"seed {seed}: {found}"
    assert status in (0, 1), f"seed {seed}: exit status {status}: {told!r}"
    errors = [line for line in told.splitlines() if "error" in line]
    assert len(errors) == status, f"seed {seed}: {told!r}"
    for old in folder.glob("*-*"):
        old.unlink()
    return "works" if status == 0 else "refused"


def _run(command: Callable[[], int], folder: Path) -> tuple[int, bytes, str]:
    """Run a command in this process.  Return exit status, stdout and stderr."""
    paths = [folder / name for name in ("out", "err")]
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    for descriptor, path in enumerate(paths, 1):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, descriptor)
        os.close(file)
    try:
        status = command()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, old in enumerate(kept, 1):
            os.dup2(old, descriptor)
            os.close(old)
    return status, paths[0].read_bytes(), paths[1].read_text()


if __name__ == "__main__":
    raise SystemExit(main())
