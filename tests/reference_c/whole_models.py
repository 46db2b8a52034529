"""`python -m tests.reference_c.whole_models MODEL TEXT`: compares the reference in C on a text.

The lines of the text become token ids.  The compiled backend and the reference in C run them, and
the command counts the lines whose results differ.  The results of an encoder are vectors.  A
language model continues each line by at most 50 tokens.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import int8ref
from int8ref.encoder import Encoder
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model, load
from int8ref.flat.folder import write_model
from int8ref.language_model import LanguageModel
from int8ref.search import BeamOptions
from int8ref.search.request import Request
from int8ref.translation.direction import direction
from int8ref.translation.worker import tokenizers
from tests.reference_c.program import FAST, compiled, compiler, run

MOST = 50
"""The tokens that a language model adds to a line."""


def expected(model: Model, lines: list[str], beam_size: int) -> list[list[int]]:
    """Return the token ids, or the vectors, of the compiled backend."""
    if model.program.encodes:
        return [list(map(int, vector)) for vector in Encoder(model).embed(lines)]
    if not model.program.max_source_length:
        return continued(model, lines, beam_size)
    options = int8ref.Options(beam_size=beam_size)
    found = int8ref.Translator(model).translate(lines, options)
    return [list(result.translations[0].ids) for result in found]


def continued(model: Model, lines: list[str], beam_size: int) -> list[list[int]]:
    """Return the token ids that continue the lines.  A beam search is no option of a command."""
    if beam_size == 1:
        generated = LanguageModel(model).generate(lines, int8ref.Options(max_length=MOST))
        return [list(found.ids) for found in generated]
    prompts = [list(tokenizers(model)[0].encode(line)) for line in lines]
    asked = [Request([], MOST, prompt) for prompt in prompts]
    options = BeamOptions(beam_size, alpha=model.program.alpha)
    engine = load_engine(model.program, model.tensors, "compiled")
    return [list(best[0].ids) for best in engine.beam(asked, options)]


def computed(model: Model, lines: list[str], beam_size: int) -> list[list[int]]:
    """Return the same from the reference in C."""
    name = compiler(FAST)
    assert name is not None, "no C compiler is installed"
    program = compiled(name, FAST)
    tokenizer = tokenizers(model)[0]
    text = "".join(" ".join(map(str, tokenizer.encode(line))) + "\n" for line in lines)
    with TemporaryDirectory() as folder:
        flat = Path(folder) / "flat"
        write_model(flat, model, "0" * 64, direction(model, None, None), False)
        limit = [] if model.program.max_source_length else ["-n", str(MOST)]
        beam = ["-b", str(beam_size)] if beam_size > 1 else []
        done = run(program, flat, *beam, *limit, text=text, timeout=None)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [[int(word) for word in line.split()] for line in done.stdout.split("\n")[:-1]]


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--lines", type=int, default=400)
    parser.add_argument("--beam-size", type=int, default=1)
    given = parser.parse_args(arguments)
    model = load(given.model)
    lines = given.text.read_text("utf-8").splitlines()[: given.lines]
    found, wanted = (way(model, lines, given.beam_size) for way in (computed, expected))
    differ = [n for n, (a, b) in enumerate(zip(found, wanted, strict=True), 1) if a != b]
    print(f"{model.name}, beam of {given.beam_size}: {len(lines)} lines, {len(differ)} differ")
    for n in differ[:5]:
        print(f"line {n}: {found[n - 1]}, not {wanted[n - 1]}")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
