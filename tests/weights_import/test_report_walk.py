"""The walk of a report: float operations beside the integer instructions that do their work."""

from __future__ import annotations

from functools import cache

import every_kind
import numpy as np
import pytest
from every_kind import KINDS
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from int8ref.engines.backends import load_engine
from weights_import.forward import forced
from weights_import.lower import Lowered, lowered
from weights_import.lowering.meaning import Meaning
from weights_import.lowering.options import LoweringOptions
from weights_import.lowering.scaled import Scaled
from weights_import.report.attention import heads
from weights_import.report.integers import reals, rounded
from weights_import.report.losses import NextToken, distance
from weights_import.report.walk import Walk, parts

OPTIONS = {"post-norm": {"rescaling": "dynamic"}, "pre-norm": {"requantize": "shift"}}


@cache
def made(kind: str) -> tuple[Lowered, list[list[int]], list[list[int]]]:
    """A lowered random model, and sentences: sources, and targets with their start."""
    model = every_kind.random_model(kind, fill=every_kind.trained)
    batch = [[*ids] for ids in every_kind.sentences(model, 12, 1)]
    sources = batch if model.translates else [[] for _ in batch]
    options = LoweringOptions(positions=16, **OPTIONS.get(kind, {}))
    found = lowered(model, sources, batch[::-1], options)
    start = model.generation.start
    return found, sources[:6], [[start, *ids][:12] for ids in batch[::-1][:6]]


def walk_of(kind: str) -> tuple[Walk, list[list[int]], list[list[int]]]:
    found, sources, targets = made(kind)
    return Walk(found, load_engine(found.program, found.tensors, "reference")), sources, targets


@pytest.mark.parametrize("kind", KINDS)
def test_the_basis_of_the_integers_gives_the_same_model(kind: str) -> None:
    walk, sources, targets = walk_of(kind)
    floats = walk.floats(walk.part(sources, targets))
    model = every_kind.random_model(kind, fill=every_kind.trained)
    exact = np.concatenate(forced(model, sources, [target[1:] for target in targets]))
    assert_allclose(floats[walk.result], exact, atol=2e-4 * float(np.abs(exact).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_units_alone_give_the_integers_of_the_engine(kind: str) -> None:
    """For the integers that the engine gives them, all units together are the engine, bit for
    bit."""
    walk, sources, targets = walk_of(kind)
    part = walk.part(sources, targets)
    integers = walk.integers.accumulated(part)
    seen = 0
    for unit in walk.twins.units:
        reads = {name: integers[name] for name in unit.reads}
        exponents = (walk.twins.meanings[name].scaled.exponent for name in unit.reads)
        reads |= {name: integers[name] for name in exponents if name}
        if unit.instructions:
            alone = walk.integers.alone(unit, part, reads)
            for name in unit.makes:
                assert np.array_equal(alone[name], integers[name]), name
                seen += 1
    assert seen == len(walk.twins.meanings.keys() & integers.keys())


@pytest.mark.parametrize("kind", KINDS)
def test_every_instruction_belongs_to_one_unit(kind: str) -> None:
    walk, _, _ = walk_of(kind)
    program = made(kind)[0].program
    owned = [id(one) for unit in walk.twins.units for one in unit.instructions]
    assert sorted(owned) == sorted(id(one) for one in (*program.encoder, *program.decoder))
    operations = [operation.out for unit in walk.twins.units for operation in unit.operations]
    assert set(operations) == set(walk.twins.program.producers())


@pytest.mark.parametrize(
    "kind", ["recurrent", "post-norm", "relative", "llama", "llama, norms of heads"]
)
def test_findings(kind: str) -> None:
    walk, sources, targets = walk_of(kind)
    found = walk.run(sources, targets)
    rows = sum(map(len, targets))
    assert found.whole.rows == rows == sum(len(loss.of) for loss in found.rows.values())
    assert [len(found.rows[i].of) for i in range(len(targets))] == [len(t) for t in targets]
    assert found.whole.total > 0
    total = sum(one.total for one in found.units.values())
    assert found.whole.total / 10 < total < found.whole.total * 10
    for name, one in found.values.items():
        assert one.count in (one.width * rows, one.width * sum(map(len, sources))), name
        assert one.rounding <= one.alone * 1.5 + 1e-9 or one.bits > 8, name
        assert -(2 ** (one.bits - 1)) <= one.low <= one.high < 2 ** (one.bits - 1)


@pytest.mark.parametrize("kind", ["post-norm", "integer", "llama, norms of heads", "relative"])
def test_weights_of_attention(kind: str) -> None:
    """Each row has the sum 1, causal rows see no later key, and integers are near floats."""
    walk, sources, targets = walk_of(kind)
    part = walk.part(sources[:1], targets[:1])
    floats, integers = walk.floats(part), walk.integers.accumulated(part)
    found = list(heads(part, floats, walk.integers, integers))
    assert found
    for head in found:
        for weights in (head.floats, head.integers):
            assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
            if head.over == "target":
                assert not np.triu(weights, 1).any()
        assert head.distance < 0.2


def test_a_wrong_unit_is_the_first_of_the_order() -> None:
    """A unit whose integers are spoilt loses most."""
    walk, sources, targets = walk_of("pre-norm")
    spoilt = next(u for u in walk.twins.units if u.name.endswith("decoder.1.ffn.hidden"))
    usual = walk.errors

    def errors(unit, part, floats):  # type: ignore[no-untyped-def]
        found = usual(unit, part, floats)
        return {n: x + 1 for n, x in found.items()} if unit is spoilt else found

    walk.errors = errors  # type: ignore[method-assign]
    found = walk.run(sources, targets)
    assert max(found.units, key=lambda name: found.units[name].mean) == spoilt.name


@given(st.integers(0, 2**32 - 1), st.floats(1e-4, 30))
def test_divergence(seed: int, size: float) -> None:
    """Against the definition, sum_i P_i (log P_i - log Q_i), in float64."""
    random = np.random.default_rng(seed)
    p = random.normal(0, 4, (3, 40)).astype(np.float32)
    q = (p + random.normal(0, size, p.shape)).astype(np.float32)
    a, b = (x.astype(np.float64) for x in (p, q))
    logs = [
        x
        - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True))
        - x.max(1, keepdims=True)
        for x in (a, b)
    ]
    exact = (np.exp(logs[0]) * (logs[0] - logs[1])).sum(axis=1)
    loss = NextToken.of(p).loss(q)
    assert_allclose(loss.of, exact, rtol=1e-3, atol=1e-9 + 1e-5 * size * size)
    assert np.array_equal(loss.changed, p.argmax(1) != q.argmax(1))


def test_distance() -> None:
    a = np.array([[3, 4], [1, 0], [0, 0], [1, 1]], np.float32)
    b = np.array([[6, 8], [0, 2], [0, 0], [-1, -1]], np.float32)
    assert_allclose(distance(a, b).of, [0, 1, 0, 2], atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(-127, 100))
def test_rounding_is_within_half_a_scale(seed: int, zero: int) -> None:
    random = np.random.default_rng(seed)
    scale = random.uniform(0.1, 3, 5)
    integers = random.integers(-127, 128, (4, 5))
    x = ((integers - zero + random.uniform(-0.49, 0.49, (4, 5))) * scale).astype(np.float32)
    meaning = Meaning(("x",), Scaled("x", scale, zero=zero))
    found = rounded(x, meaning, np.dtype("int8"))
    assert np.array_equal(found, integers)
    assert np.all(np.abs(reals({"x": found}, "x", meaning) - x) <= 0.5 * scale)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=20))
def test_parts_have_all_sentences_in_order(lengths: list[int]) -> None:
    texts = [[0] * n for n in lengths]
    found = list(parts(texts, [[]] * len(texts)))
    assert [i for part in found for i in part] == list(range(len(texts)))
    assert all(len(part) == 1 or sum(lengths[i] for i in part) <= 160 for part in found)
