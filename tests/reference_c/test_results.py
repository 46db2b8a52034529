"""The reference in C gives the bits of the golden model: each operation, and whole models."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest

from int8ref.corners import record_corners
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import Model
from int8ref.flat.folder import write_model
from int8ref.golden.folder import write_folder
from int8ref.program.sizes import max_steps
from int8ref.reference import instructions
from int8ref.search import BeamOptions
from int8ref.translation.direction import direction
from int8ref.translation.recording import record
from tests.helpers.encoders import build_encoder
from tests.helpers.engines import requests
from tests.helpers.many_languages import speaking
from tests.helpers.models import SENTENCES, Kind
from tests.helpers.tiny_engines import MODELS, SEEDS
from tests.reference_c.program import (
    CHECKED,
    COMPILERS,
    NO_COMPILER,
    can,
    compiled,
    compiler,
    ids_of,
    run,
)
from tests.reference_c.random_programs import check, programs

pytestmark = pytest.mark.skipif(compiler() is None, reason=NO_COMPILER)
TRANSLATORS: tuple[Kind, ...] = ("recurrent", "translation")
ALONE: tuple[Kind, ...] = ("decoder", "rotary", "capped")
ENCODERS = {
    "mean": build_encoder(rows=0),
    "first": build_encoder(rows=1),
    "last": build_encoder(rows=2),
    "labels": build_encoder("labels"),
}


@pytest.fixture(params=COMPILERS)
def program(request: pytest.FixtureRequest) -> Path:
    """The reference, with the sanitizers of a compiler."""
    if not can(request.param, CHECKED):
        pytest.skip(f"{request.param} is not installed, or has no sanitizers")
    return compiled(request.param)


@pytest.fixture
def first() -> Path:
    """The reference of the first compiler, with sanitizers."""
    return compiled(str(compiler()))


def flat(model: Model, folder: Path) -> Path:
    """Write a flat model.  Return its folder."""
    write_model(folder / "flat", model, "0" * 64, direction(model, None, None), False)
    return folder / "flat"


def random_ids(model: Model, seed: int, sentences: int, most: int) -> list[list[int]]:
    """Return sentences of random tokens, without marks around them."""
    random = np.random.default_rng(seed)
    size = len(model.tensors["embeddings"])
    return [random.integers(1, size, n).tolist() for n in random.integers(1, most, sentences)]


def tied(model: Model) -> Model:
    """Return the model with ties.

    Triples of tokens have equal logits, and so have the end mark, the tokens after it and the last
    tokens.  All log-probabilities are equal, so that only the order of ties decides.  The end mark
    is less likely, so that texts do not end at once.
    """
    tensors = {name: array.copy() for name, array in model.tensors.items()}
    tensors["logits.bias"][model.program.eos] >>= 1
    for name in ("embeddings", "logits.bias"):
        array = tensors[name]
        for place in range(4, len(array) - 8, 3):
            array[place + 1 : place + 3] = array[place]
        array[1:4] = array[model.program.eos]
        array[-5:] = array[model.program.eos]
    equal = msgspec.structs.replace(model.program.softmax, multiplier=1, shift=36)
    program = msgspec.structs.replace(model.program, log_softmax=equal)
    return replace(model, program=program, tensors=tensors)


def test_all_corner_cases(program: Path, tmp_path: Path) -> None:
    vectors = record_corners()
    assert {told["op"] for told in vectors.records} >= set(instructions())
    write_folder(tmp_path / "corners", vectors)
    done = run(program, tmp_path / "corners")
    assert done.stdout == f"{len(vectors.records)} cases, 0 differ\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", [*SEEDS, *ENCODERS])
def test_all_operations_of_a_batch(name: str, first: Path, tmp_path: Path) -> None:
    model = ENCODERS[name] if name in ENCODERS else MODELS[name]  # type: ignore[index]
    vectors = record(model, SENTENCES[:2], 2)
    write_folder(tmp_path / "vectors", vectors)
    assert run(first, tmp_path / "vectors").stdout == f"{len(vectors.records)} cases, 0 differ\n"


def limits_of(model: Model, framed: list[list[int]], forced: int = 0) -> list[int]:
    """Return the largest number of choices for each source."""
    steps, factor = max_steps(model.program, model.tensors), model.program.max_length_factor
    return [max(1, min(len(ids) * factor // 100, steps - forced)) for ids in framed]


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("kind", TRANSLATORS)
def test_greedy_search(kind: Kind, tie: bool, first: Path, tmp_path: Path) -> None:
    model = tied(MODELS[kind]) if tie else MODELS[kind]
    given = random_ids(model, 1, 10, 10)
    framed = [model.program.frame.around(ids) for ids in given]
    engine = load_engine(model.program, model.tensors, "reference")
    found = engine.greedy(requests(framed, limits_of(model, framed)))
    wanted = [without_ends(model, ids) for ids in found]
    assert ids_of(first, flat(model, tmp_path), given) == wanted
    assert len({tuple(ids) for ids in wanted}) > 2


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("kind", TRANSLATORS)
@pytest.mark.parametrize("beam_size", [1, 4])
def test_beam_search(beam_size: int, kind: Kind, tie: bool, first: Path, tmp_path: Path) -> None:
    """The tokens, the sum of their log-probabilities and the score are equal."""
    model = tied(MODELS[kind]) if tie else MODELS[kind]
    given = random_ids(model, 1, 10, 10)
    framed = [model.program.frame.around(ids) for ids in given]
    engine = load_engine(model.program, model.tensors, "reference")
    options = BeamOptions(beam_size, alpha=model.program.alpha)
    found = engine.beam(requests(framed, limits_of(model, framed)), options)
    wanted = [(list(best.ids), [sum(best.tokens), best.score]) for best, *_ in found]
    folder = flat(model, tmp_path)
    text = "".join(" ".join(map(str, ids)) + "\n" for ids in given)
    done = run(first, folder, "-b", str(beam_size), "-s", "1", text=text)
    lines = [line.split("|||") for line in done.stdout.splitlines()]
    assert [
        tuple([int(word) for word in part.split()] for part in line) for line in lines
    ] == wanted
    assert len({tuple(ids) for ids, _ in wanted}) > 2


def without_ends(model: Model, ids: list[int]) -> list[int]:
    return [token for token in ids if token not in model.program.ends]


@pytest.mark.parametrize("kind", ALONE)
def test_continued_texts(kind: Kind, first: Path, tmp_path: Path) -> None:
    model = MODELS[kind]
    given = [[], *random_ids(model, 2, 5, 9)]
    engine = load_engine(model.program, model.tensors, "reference")
    asked = requests([[]] * len(given), [5] * len(given), prefixes=given)
    wanted = [without_ends(model, ids) for ids in engine.greedy(asked)]
    assert ids_of(first, flat(model, tmp_path), given, "-n", "5") == wanted


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_of_encoders(name: str, first: Path, tmp_path: Path) -> None:
    model = ENCODERS[name]
    given = [[], *random_ids(model, 3, 8, 10)]
    engine = load_engine(model.program, model.tensors, "reference")
    wanted = engine.outputs([model.program.frame.around(ids) for ids in given]).tolist()
    assert ids_of(first, flat(model, tmp_path), given) == wanted


def test_languages_of_a_run(first: Path, tmp_path: Path) -> None:
    """The frame of a source has the token of its language, and so has the prefix."""
    model = speaking()
    chosen = direction(model, "eng_Latn", "por_Latn")
    write_model(tmp_path / "flat", model, "0" * 64, chosen, False)
    given = random_ids(model, 4, 12, 9)
    framed = [chosen.frame.around(ids) for ids in given]
    forced = [list(chosen.forced)] * len(given)
    assert chosen.forced
    engine = load_engine(model.program, model.tensors, "reference")
    asked = requests(framed, limits_of(model, framed, 1), prefixes=forced)
    found = engine.beam(asked, BeamOptions(3, alpha=model.program.alpha))
    wanted = [list(best[0].ids) for best in found]
    assert ids_of(first, tmp_path / "flat", given, "-b", "3") == wanted


def test_a_long_source_is_cut(first: Path, tmp_path: Path) -> None:
    model = MODELS["recurrent"]
    room = model.program.max_source_length - model.program.frame.size
    long = random_ids(model, 5, 1, 2)[0] * (room + 9)
    folder = flat(model, tmp_path)
    assert ids_of(first, folder, [long]) == ids_of(first, folder, [long[:room]])


def test_a_long_prompt_is_cut(first: Path, tmp_path: Path) -> None:
    model = MODELS["rotary"]
    steps = max_steps(model.program, model.tensors)
    long = (random_ids(model, 6, 1, 9)[0] * steps)[: steps + 3]
    folder = flat(model, tmp_path)
    assert ids_of(first, folder, [long]) == ids_of(first, folder, [long[-(steps // 2) :]])


def test_a_source_without_tokens_has_an_empty_translation(first: Path, tmp_path: Path) -> None:
    assert ids_of(first, flat(MODELS["recurrent"], tmp_path), [[], [5], []])[::2] == [[], []]


def test_random_programs() -> None:
    """Random valid Programs, with operands that no importer makes."""
    assert all(check(*both) for both in islice(programs(0), 6))
