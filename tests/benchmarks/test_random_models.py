"""Random models, and the searches and loops of the contestants."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import storage
from benchmarks.loops import LOOPS, TURNS
from benchmarks.prepare import int8ref_model, marian_float, random_weights
from benchmarks.setting import Setting
from benchmarks.shapes import EOS, POSITIONS, SHAPES, Shape, random_batch
from benchmarks.workers import lean_search, peak, reading
from benchmarks.workers.marian import Engine as MarianEngine
from int8ref.abi.frame import PACKED, operand_places
from int8ref.engines.compiled import CompiledEngine
from int8ref.files.models import MODELS
from int8ref.program.sizes import max_steps
from int8ref.reference.embed import Embed
from int8ref.reference.linear import Linear
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model
from weights_import.operations.embedding import sinusoids
from weights_import.sources import marian_bin


def test_random_batches() -> None:
    shape = SHAPES["small"]
    batch = random_batch(shape, 3, 5)
    assert batch == random_batch(shape, 4, 5)[:3]
    assert [len(row) for row in batch] == [5, 5, 5]
    assert all(row[-1] == EOS and min(row[:-1]) > 1 for row in batch)
    assert max(map(max, batch)) < shape.vocabulary


TINY = {cell: Shape(2, 1, 8, 16, 2, 30, cell) for cell in ("self_attention", "ssru")}


@pytest.mark.parametrize("shape", TINY.values(), ids=TINY)
def test_random_weights_are_what_the_importer_takes(shape: Shape) -> None:
    made = random_weights.weights(shape)
    positions = made.pop("positions")
    model = int8ref_model.float_model(shape, made)
    assert made.keys() == model.tensors.keys()
    np.testing.assert_allclose(positions, sinusoids(0, POSITIONS, shape.d_model), atol=1e-6)
    assert made["output.bias"][EOS] < -50


def test_sizes_are_those_of_all_weights_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, "tiny", TINY["self_attention"])
    exact, model = int8ref_model.lowered("tiny", random_weights.weights(SHAPES["tiny"]))
    d, d_ffn, vocabulary = 8, 16, 30
    attention, ffn, norm = 4 * (d * d + d), 2 * d * d_ffn + d_ffn + d, 2 * d
    layers = 2 * (attention + ffn + 2 * norm) + (2 * attention + ffn + 3 * norm)
    count = layers + 3 * vocabulary * d + vocabulary
    assert exact.tensors.nbytes == 4 * count
    exact.tensors.put("output.weight", exact.tensors.stored("target_embedding"))
    assert exact.tensors.nbytes == 4 * (count - vocabulary * d)
    used = sum(tensor.nbytes for tensor in model.tensors.values())
    table = model.tensors["output.weight"]
    *_, line, last = storage.table(exact, model).splitlines()
    resident = exact.tensors.nbytes + 4 * d * max_steps(model.program, model.tensors)
    told = f"{used / 1e6:.3f} MB | {resident / used:.3f} |"
    assert line == f"| in memory, tensors of the file | {told}"
    assert last.startswith("| in memory, what native code reads | ")
    assert storage.held(model) >= used - table.nbytes


def test_a_tied_table_is_in_memory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code reads embeddings from the packed output matrix."""
    machine_text()
    model = build_tiny_model(1)
    code = CompiledEngine(model.program, model.tensors).code()
    table, weight = operand_places(Embed)["table"], operand_places(Linear)["weight"]
    parts = (model.program.encoder, code.encoder), (model.program.decoder, code.decoder)
    embeds = [row for part in parts for i, row in zip(*part, strict=True) if i.op == "embed"]
    assert [row[PACKED] for row in embeds] == [1, 1]
    assert {row[table] for row in embeds} == {code.decoder[-1, weight]}
    raw = model.tensors["embeddings"]
    assert not any(np.shares_memory(array, raw) for array in code.kept)


def tables(draw: np.random.Generator, vocabulary: int) -> Callable[[tuple[int, ...]], Any]:
    """Return a function from a sequence to the log-probabilities of its next token."""
    known: dict[tuple[int, ...], Any] = {}

    def after(sequence: tuple[int, ...]) -> Any:
        if sequence not in known:
            logits = draw.standard_normal(vocabulary)
            known[sequence] = logits - np.log(np.exp(logits).sum())
        return known[sequence]

    return after


class TableEngine(lean_search.LeanSearch):
    """An engine whose cache is the sequence so far."""

    first = 99

    def __init__(self, after: Callable[[tuple[int, ...]], Any]) -> None:
        self.after = after

    def encode(self, source: Any) -> list[tuple[int, ...]]:
        return [tuple(row) for row in source.tolist()]

    def repeat(self, memory: list[Any], times: int) -> list[Any]:
        return [row for row in memory for _ in range(times)]

    def start(self, rows: int) -> list[tuple[int, ...]]:
        return [()] * rows

    def reorder(self, past: list[Any], rows: Any) -> list[Any]:
        return [past[row] for row in rows]

    def step(self, ids: Any, position: int, memory: Any, past: Any) -> tuple[Any, Any]:
        now = [(*before, int(token)) for before, token in zip(past, ids, strict=True)]
        assert all(len(sequence) == position + 1 for sequence in now)
        keys = [(*source, *sequence) for source, sequence in zip(memory, now, strict=True)]
        return np.array([self.after(key) for key in keys], np.float32), now

    def likeliest(self, *given: Any) -> tuple[Any, Any]:
        table, past = self.step(*given)
        return table.argmax(1), past

    def candidates(self, ids: Any, position: int, memory: Any, past: Any, count: int) -> Any:
        table, past = self.step(ids, position, memory, past)
        best = np.argsort(-table, 1, kind="stable")[:, :count]
        return np.take_along_axis(table, best, 1), best, past


def likeliest_sequence(after: Callable[[Any], Any], source: tuple[int, ...], length: int) -> Any:
    """Return the most likely sequence by exhaustive search."""
    best, found = -math.inf, ()
    sequences: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for _ in range(length):
        sequences = [
            (score + float(gain), (*ids, token))
            for score, ids in sequences
            for token, gain in enumerate(np.float32(after((*source, 99, *ids))))
        ]
    for score, ids in sequences:
        if score > best:
            best, found = score, ids
    return list(found)


def test_a_beam_as_wide_as_all_sequences_finds_the_likeliest() -> None:
    after = tables(np.random.default_rng(3), 4)
    engine = TableEngine(after)
    source = [(5, 6), (7, 8)]
    run = engine.prepare({"source": source, "length": 3, "beam": 4})
    wide = [likeliest_sequence(after, row, 2) for row in source]
    assert engine.prepare({"source": source, "length": 2, "beam": 4})() == wide
    assert len(run()[0]) == 3


def test_greedy_follows_the_likeliest() -> None:
    after = tables(np.random.default_rng(4), 6)
    found = TableEngine(after).prepare({"source": [(1, 2)], "length": 5, "beam": 1})()
    sequence: tuple[int, ...] = (1, 2, 99)
    for token in found[0]:
        assert token == after(sequence).argmax()
        sequence = (*sequence, token)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_of_the_peak(name: str) -> None:
    loop = LOOPS[name]
    multiplications = loop.step[0].split(" {")[0].removeprefix("{{vex}} ")
    count = loop.assembly().count(f"{multiplications} ")
    count //= sum(line.startswith("vpmaddubsw") for line in loop.step) or 1
    count -= loop.accumulators * (len(loop.step) == 3 and multiplications == "vpmaddwd")
    assert loop.operations() == 2 * TURNS * count * loop.products
    try:
        run = peak.Engine({}).prepare({"loop": name})
    except NotImplementedError as error:
        pytest.skip(str(error))
    run()


def test_reading() -> None:
    try:
        run = reading.Engine({}).prepare({"bytes": 4 * reading.STEP, "repeats": 3})
    except NotImplementedError as error:
        pytest.skip(str(error))
    run()


def test_marian_in_float_is_the_checkpoint(tmp_path: Path) -> None:
    """Compares with the importer, which has its own reader."""
    path = Path(Setting(tmp_path, tmp_path, 1, [0]).checkpoint()["model"])
    assert path.name == MODELS["en-pt"].checkpoint
    found, model = marian_float.read(path), marian_bin.read(path)
    for theirs, ours in {
        "encoder_l1_self_Wq": "encoder.0.self.query.weight",
        "decoder_l2_ffn_W1": "decoder.1.ffn.inner.weight",
    }.items():
        np.testing.assert_allclose(found[theirs], model.tensors[ours].T, rtol=1e-6)
    np.testing.assert_allclose(found["Wemb"], model.tensors["source_embedding"], rtol=1e-6)
    assert found["special:model.yml"].dtype == np.int8
    assert not any(name.endswith("QuantMultA") for name in found)
    assert MarianEngine.__doc__
