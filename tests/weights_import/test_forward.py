"""The float forward pass equals the definitions of textbooks in every value of every kind of model.

`test_marian_scores.py` and the tests of the readers compare it with other programs.
"""

from __future__ import annotations

from collections.abc import Callable

import every_kind
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textbook import EncoderDecoder, Llama, Rows, textbook

from weights_import import forward
from weights_import.float_model import FloatModel
from weights_import.float_program import Operation
from weights_import.forward import encode, forced
from weights_import.run import Run
from weights_import.tensors import Float32

Seen = dict[str, list[Float32]]
TOKENS = st.integers(0, 10)
TARGETS = st.lists(st.lists(TOKENS, max_size=5), min_size=1, max_size=4)


def slow(kind: str, model: FloatModel) -> EncoderDecoder | Llama:
    return textbook(model.tensors, every_kind.norm_of(kind), every_kind.shape_of(kind))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The rows of every value that a forward pass computes."""
    found: Seen = {}
    step: Callable[[Run, Operation], None] = forward.step

    def record(run: Run, operation: Operation) -> None:
        step(run, operation)
        found.setdefault(operation.out, []).append(run.values[operation.out].copy())

    monkeypatch.setattr(forward, "step", record)
    return found


@pytest.mark.parametrize("start", [-1, 3])
@pytest.mark.parametrize("kind", every_kind.KINDS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), TARGETS, st.integers(0, 5))
def test_every_value_is_that_of_the_textbook(
    kind: str, start: int, seen: Seen, data: st.DataObject, targets: list[list[int]], seed: int
) -> None:
    model = every_kind.random_model(kind, seed, start=start)
    source = st.lists(TOKENS, max_size=6).map(lambda ids: [*ids, 0] if model.translates else [])
    sources = [data.draw(source) for _ in targets]
    seen.clear()
    found = forced(model, sources, targets)
    expected: dict[str, list[Rows]] = {}
    for source, target, logits in zip(sources, targets, found, strict=True):
        one = slow(kind, model)
        wanted = one.logits(source, [start, *target])
        assert logits.shape == (len(target) + 1, 11)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, wanted, atol=1e-3, rtol=1e-3)
        for name, rows in one.values.items():
            expected.setdefault(name, []).append(rows)
    assert seen.keys() == expected.keys()
    for name, calls in seen.items():
        (rows,) = calls
        whole = np.concatenate(expected[name])
        np.testing.assert_allclose(rows, whole, atol=1e-3, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("kind", ["recurrent", "llama, biases, relu"])
def test_a_missing_bias_is_zero(kind: str) -> None:
    model = every_kind.random_model(kind)
    source = [3, 0] if model.translates else []
    names = {"output.bias", "decoder.1.ssru.cell.bias", "decoder.0.ffn.outer.bias"}
    for name in names & set(model.tensors):
        model.tensors[name] = np.zeros_like(model.tensors[name])
    (expected,) = forced(model, [source], [[4]])
    for name in names & set(model.tensors):
        del model.tensors[name]
    (found,) = forced(model, [source], [[4]])
    np.testing.assert_array_equal(found, expected)


def test_only_what_the_decoder_reads_of_the_encoder_stays() -> None:
    model = every_kind.random_model("pre-norm")
    memory = encode(model, [[4, 5, 0], [0]])
    parts = ("0.cross.key", "0.cross.value", "1.cross.key", "1.cross.value")
    assert memory.values.keys() == {f"decoder.{part}" for part in parts}
    assert {len(rows) for rows in memory.values.values()} == {4}
    assert memory.start.tolist() == [0, 3]
    assert memory.count.tolist() == [3, 1]
    assert not encode(every_kind.random_model("llama"), [[], []]).values


@pytest.mark.parametrize("source", [[], [3], [3, 0, 4]])
def test_a_source_must_end_with_eos(source: list[int]) -> None:
    with pytest.raises(ValueError, match="source 1 is not framed by \\[\\] and"):
        forced(every_kind.random_model("pre-norm"), [[2, 0], source], [[], []])


@pytest.mark.parametrize("token", [-1, 11])
def test_ids_outside_the_vocabulary(token: int) -> None:
    model = every_kind.random_model("pre-norm")
    with pytest.raises(ValueError, match="source 0: a token id is outside"):
        forced(model, [[token, 0]], [[]])
    with pytest.raises(ValueError, match="target 0: a token id is outside"):
        forced(model, [[0]], [[token]])
    with pytest.raises(ValueError, match="1 sources, but 0 targets"):
        forced(model, [[0]], [])
    with pytest.raises(ValueError, match="source 0: a token id is outside"):
        forced(every_kind.random_model("llama"), [[4]], [[]])


def test_a_model_has_only_so_many_positions() -> None:
    model = every_kind.random_model("post-norm")
    longest = every_kind.TINY.positions
    forced(model, [[*[4] * (longest - 1), 0]], [[4] * (longest - 1)])
    for source, target in ((longest, 1), (1, longest)):
        with pytest.raises(ValueError, match=f"{longest + 1} positions, but the model has only"):
            forced(model, [[*[4] * source, 0]], [[4] * target])
