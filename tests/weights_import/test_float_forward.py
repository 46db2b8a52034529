"""The batched forward pass equals a slow forward pass of one sentence in Python scalars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import tiny_marian as tiny
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from weights_import.float_forward import forced, teach
from weights_import.float_model import Float32, FloatModel
from weights_import.float_search import greedy

Vector = list[float]
SOURCES = st.lists(
    st.lists(st.integers(1, 10), max_size=6).map(lambda ids: [*ids, 0]), min_size=1, max_size=4
)


class Slow:
    """The model on one sentence.  `trace` collects every observed row in order."""

    def __init__(self, model: FloatModel) -> None:
        self.model = model
        self.trace: dict[str, list[Vector]] = {}

    def note(self, name: str, row: Vector) -> Vector:
        self.trace.setdefault(name, []).append(row)
        return row

    def tensor(self, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return self.model.tensors[name].astype(np.float64)

    def linear(self, name: str, x: Vector) -> Vector:
        weight, bias = self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias")
        return [
            sum(float(w) * v for w, v in zip(row, x, strict=True)) + float(b)
            for row, b in zip(weight, bias, strict=True)
        ]

    def add_norm(self, block: str, x: Vector, y: Vector) -> Vector:
        total = self.note(f"{block}.sum", [a + b for a, b in zip(x, y, strict=True)])
        mean = sum(total) / len(total)
        variance = sum((v - mean) ** 2 for v in total) / len(total)
        gain, bias = self.tensor(f"{block}.norm.gain"), self.tensor(f"{block}.norm.bias")
        return self.note(
            f"{block}.norm",
            [
                (v - mean) / math.sqrt(variance + 1e-6) * float(g) + float(b)
                for v, g, b in zip(total, gain, bias, strict=True)
            ],
        )

    def embed(self, name: str, table: str, token: int, position: int) -> Vector:
        row = [0.0] * 8 if token < 0 else [float(v) for v in self.tensor(table)[token]]
        angles = [position * 10000 ** (-i / 3) for i in range(4)]
        waves = [math.sin(a) for a in angles] + [math.cos(a) for a in angles]
        return self.note(name, [v * math.sqrt(8) + w for v, w in zip(row, waves, strict=True)])

    def attend(self, block: str, x: Vector, keys: list[Vector], values: list[Vector]) -> Vector:
        query = self.note(f"{block}.query", self.linear(f"{block}.query", x))
        context: Vector = []
        for head in (slice(0, 4), slice(4, 8)):
            scores = [
                sum(q * k for q, k in zip(query[head], key[head], strict=True)) / 2 for key in keys
            ]
            weights = [math.exp(score - max(scores)) for score in scores]
            context += [
                sum(w * value[head][i] for w, value in zip(weights, values, strict=True))
                / sum(weights)
                for i in range(4)
            ]
        output = self.linear(f"{block}.output", self.note(f"{block}.context", context))
        return self.add_norm(block, x, output)

    def feed_forward(self, block: str, x: Vector) -> Vector:
        inner = [max(0.0, v) for v in self.linear(f"{block}.inner", x)]
        return self.add_norm(
            block, x, self.linear(f"{block}.outer", self.note(f"{block}.inner", inner))
        )

    def project(self, name: str, rows: list[Vector]) -> list[Vector]:
        return [self.note(name, self.linear(name, row)) for row in rows]

    def logits(self, source: Sequence[int], previous: Sequence[int]) -> list[Vector]:
        x = [
            self.embed("encoder.embedding", "source_embedding", t, p) for p, t in enumerate(source)
        ]
        for layer in range(2):
            block = f"encoder.{layer}.self"
            keys, values = self.project(f"{block}.key", x), self.project(f"{block}.value", x)
            x = [self.attend(block, row, keys, values) for row in x]
            x = [self.feed_forward(f"encoder.{layer}.ffn", row) for row in x]
        cross = [[self.project(f"decoder.{layer}.cross.{role}", x) for role in ("key", "value")]
                 for layer in range(2)]  # fmt: skip
        cells = [[0.0] * 8, [0.0] * 8]
        result = []
        for position, token in enumerate(previous):
            y = self.embed("decoder.embedding", "target_embedding", token, position)
            for layer in range(2):
                block = f"decoder.{layer}.ssru"
                gate = self.note(f"{block}.gate", self.linear(f"{block}.gate", y))
                new = self.note(f"{block}.cell", self.linear(f"{block}.cell", y))
                forget = [1 / (1 + math.exp(-g)) for g in gate]
                cells[layer] = [
                    f * c + (1 - f) * n for f, c, n in zip(forget, cells[layer], new, strict=True)
                ]
                self.note(f"{block}.state", cells[layer])
                y = self.add_norm(block, y, [max(0.0, c) for c in cells[layer]])
                y = self.attend(f"decoder.{layer}.cross", y, *cross[layer])
                y = self.feed_forward(f"decoder.{layer}.ffn", y)
            result.append(self.linear("output", y))
        return result


@pytest.mark.parametrize("start", [-1, 3])
@settings(max_examples=10, deadline=None)
@given(st.data(), SOURCES, st.integers(0, 5))
def test_forced_equals_the_slow_model_in_every_observed_tensor(
    start: int, data: st.DataObject, sources: list[list[int]], seed: int
) -> None:
    model = tiny.random_model(seed, start=start)
    target = st.lists(st.integers(0, 10), max_size=5)
    targets = data.draw(st.lists(target, min_size=len(sources), max_size=len(sources)))
    observed: dict[str, list[Float32]] = {}
    teach(model, sources, targets, lambda n, x: observed.setdefault(n, []).append(x))
    slow = Slow(model)
    for source, targeted, found in zip(
        sources, targets, forced(model, sources, targets), strict=True
    ):
        expected = slow.logits(source, [start, *targeted])
        assert found.shape == (len(targeted) + 1, 11)
        np.testing.assert_allclose(found, expected, atol=2e-3, rtol=2e-3)
    assert observed.keys() == slow.trace.keys()
    for name, calls in observed.items():
        (rows,) = calls
        np.testing.assert_allclose(rows, slow.trace[name], atol=2e-3, rtol=2e-3, err_msg=name)


@settings(max_examples=10, deadline=None)
@given(SOURCES, st.integers(0, 5), st.integers(1, 3), st.sampled_from([0.3, 1.0, 2.5]))
def test_greedy_takes_the_likeliest_token_whatever_the_batch(
    sources: list[list[int]], seed: int, batch_size: int, factor: float
) -> None:
    model = tiny.random_model(seed)
    expected = []
    for source in sources:
        found: list[int] = []
        for _ in range(max(1, math.floor(factor * len(source)))):
            last = Slow(model).logits(source, [-1, *found])[-1]
            best, second = sorted(last)[:-3:-1]
            assume(best - second > 1e-2)
            if last.index(best) == 0:
                break
            found.append(last.index(best))
        expected.append(found)
    assert greedy(model, sources, factor, batch_size=batch_size) == expected


def test_greedy_observes_each_step_of_each_sentence_once() -> None:
    model = tiny.random_model(1)
    sources = [[4, 5, 6, 0], [0], [7, 0]]
    rows: dict[str, int] = {}

    def observe(name: str, x: Float32) -> None:
        rows[name] = rows.get(name, 0) + len(x)

    found = greedy(model, sources, observe=observe)
    limits = [max(1, math.floor(2.5 * len(source))) for source in sources]
    steps = sum(min(len(ids) + 1, limit) for ids, limit in zip(found, limits, strict=True))
    assert rows["encoder.embedding"] == rows["decoder.1.cross.key"] == 7
    assert rows["decoder.1.ffn.norm"] == rows["decoder.0.ssru.state"] == steps


def test_missing_bias_is_zero() -> None:
    model = tiny.random_model(2)
    for name in ("output.bias", "decoder.1.ssru.cell.bias"):
        model.tensors[name][:] = 0
    (expected,) = forced(model, [[3, 0]], [[4]])
    del model.tensors["output.bias"], model.tensors["decoder.1.ssru.cell.bias"]
    (found,) = forced(model, [[3, 0]], [[4]])
    np.testing.assert_array_equal(found, expected)


def test_nothing_to_translate() -> None:
    assert greedy(tiny.random_model(0), []) == []


@pytest.mark.parametrize("source", [[], [3], [3, 0, 4]])
def test_a_source_must_end_with_eos(source: list[int]) -> None:
    with pytest.raises(ValueError, match="source 1 is not framed by \\[\\] and"):
        greedy(tiny.random_model(0), [[2, 0], source], batch_size=1)


@pytest.mark.parametrize("token", [-1, 11])
def test_ids_outside_the_vocabulary(token: int) -> None:
    model = tiny.random_model(0)
    with pytest.raises(ValueError, match="source 0: a token id is outside"):
        greedy(model, [[token, 0]])
    with pytest.raises(ValueError, match="target 0: a token id is outside"):
        forced(model, [[0]], [[token]])
    with pytest.raises(ValueError, match="1 sources, but 0 targets"):
        forced(model, [[0]], [])
