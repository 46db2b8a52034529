"""`python -m tests.reference_c.random_programs`: runs random valid Programs in C.

The reference in C, with sanitizers, and the golden model run each Program on random sentences, with
greedy search and with a beam of 3.  All token ids must be equal.  The rows of encoders must be
equal too.  The seed determines the Program.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, Tokenizer
from int8ref.flat.folder import write_model
from int8ref.program.languages import Direction
from int8ref.program.program import takes_source
from int8ref.program.sizes import longest_translation, max_steps
from int8ref.search import BeamOptions
from tests.fuzz.random_programs import RandomProgram, UnfinishedError
from tests.helpers.engines import requests
from tests.reference_c.program import compiled, compiler, run

MOST = 4
"""The largest number of chosen tokens."""
BEAM = 3
NO_EXPONENT = "an exponent of"
"""The reference in C refuses exponents that no `rescale` makes."""


def programs(first: int) -> Iterator[tuple[int, RandomProgram]]:
    """Yield seeds and their Programs."""
    for seed in count(first):
        try:
            yield seed, RandomProgram(seed)
        except UnfinishedError:
            continue


def model_of(made: RandomProgram) -> Model:
    """Return a model without a tokenizer."""
    none = Tokenizer("sentencepiece", b"")
    return Model("random", ("en", "en"), made.program, made.tensors, none, none, {})


def texts_of(made: RandomProgram, seed: int) -> list[list[int]]:
    """Return random sentences without marks around them, or prompts."""
    random, program = np.random.default_rng(seed), made.program
    if takes_source(program):
        most, size = program.max_source_length - program.frame.size, made.source_vocabulary
    else:
        most, size = max_steps(program, made.tensors) - 1, made.vocabulary
    lengths = random.integers(1, max(min(most, 12), 1) + 1, 3)
    return [random.integers(0, size, n).tolist() for n in lengths]


def expected(model: Model, texts: list[list[int]], beam_size: int) -> list[list[int]]:
    """Return the results of the golden model."""
    program, tensors = model.program, model.tensors
    engine = load_engine(program, tensors, "reference")
    framed = [program.frame.around(ids) for ids in texts]
    if program.encodes:
        rows: list[list[int]] = engine.outputs(framed).tolist()
        return rows
    steps = max_steps(program, tensors)
    if takes_source(program):
        longest = [longest_translation(len(x), program.max_length_factor, steps) for x in framed]
        asked = requests(framed, [min(n, MOST) for n in longest])
    else:
        limits = [min(steps - len(ids), MOST) for ids in texts]
        asked = requests([[]] * len(texts), limits, prefixes=texts)
    if beam_size == 0:
        return [[x for x in ids if x not in program.ends] for ids in engine.greedy(asked)]
    found = engine.beam(asked, BeamOptions(beam_size, alpha=program.alpha))
    return [list(best[0].ids) for best in found]


def check(seed: int, made: RandomProgram) -> bool:
    """Compare a Program.  Returns False if the reference in C refuses one of its exponents.

    Raises AssertionError if the results differ.
    """
    name = compiler()
    assert name is not None, "no C compiler with sanitizers is installed"
    model, texts = model_of(made), texts_of(made, seed)
    text = "".join(" ".join(map(str, ids)) + "\n" for ids in texts)
    with TemporaryDirectory() as folder:
        write_model(Path(folder) / "flat", model, "0" * 64, Direction(made.program.frame), False)
        for beam_size in (0, BEAM):
            options = ("-b", str(beam_size), "-n", str(MOST))
            done = run(compiled(name), Path(folder) / "flat", *options, text=text)
            if NO_EXPONENT in done.stderr:
                return False
            assert (done.returncode, done.stderr) == (0, ""), f"seed {seed}: {done.stderr}"
            got = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
            wanted = expected(model, texts, beam_size)
            assert got == wanted, f"seed {seed}, beam of {beam_size}: {got}, not {wanted}"
    return True


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=200, help="number of Programs")
    given = parser.parse_args(arguments)
    refused = sum(not check(*both) for both in islice(programs(given.first), given.count))
    print(
        f"{given.count} programs: {given.count - refused} are equal, {refused} have other exponents"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
