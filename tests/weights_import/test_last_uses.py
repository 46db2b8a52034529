"""A value is forgotten once, after the last operation that reads it or emits what reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import every_kind
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.program.program import Program
from weights_import import lower
from weights_import.float_program import FloatProgram, Operation
from weights_import.lower import last_uses
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.integer_weights import IntegerWeights
from weights_import.lowering.observed import Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.run import Run
from weights_import.tensors import Float32


@dataclass(frozen=True, kw_only=True)
class Step(Operation):
    """An operation that reads any values, and that may be emitted with its consumers."""

    reads: tuple[str, ...] = ()
    late: bool = False

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.reads

    @property
    def lazy(self) -> bool:
        return self.late

    def run(self, run: Run) -> Float32:
        raise AssertionError

    def lower(self, emitter: Emitter) -> None:
        raise AssertionError


def program(*operations: Operation, encoder: int = 0) -> FloatProgram:
    return FloatProgram(operations[:encoder], operations[encoder:], operations[-1].out)


@st.composite
def programs(draw: st.DrawFn) -> FloatProgram:
    """Draw operations that read some of the values before them."""
    count = draw(st.integers(1, 9))
    made = []
    for i in range(count):
        reads = (
            st.lists(st.sampled_from([f"v{j}" for j in range(i)]), max_size=3) if i else st.just([])
        )
        made.append(Step(out=f"v{i}", reads=tuple(draw(reads)), late=draw(st.booleans())))
    return program(*made, encoder=draw(st.integers(0, count - 1)))


def readers(one: FloatProgram) -> dict[str, set[str]]:
    """The operations at whose turn the rows of each value may be read.

    At its turn, an operation runs, and it may emit itself and the lazy operations that made its
    inputs, which read their own inputs then.
    """
    found: dict[str, set[str]] = {operation.out: set() for operation in one.operations}
    producers = one.producers()

    def emit(operation: Operation, turn: str) -> None:
        for name in operation.inputs:
            found[name].add(turn)
            if producers[name].lazy:
                emit(producers[name], turn)

    for operation in one.operations:
        emit(operation, operation.out)
    return found


@given(programs())
def test_a_value_is_forgotten_once_after_it_is_read_for_the_last_time(one: FloatProgram) -> None:
    """A value that nobody reads is forgotten at once."""
    found = last_uses(one)
    order = [operation.out for operation in one.operations]
    assert list(found) == order
    assert sorted(name for names in found.values() for name in names) == sorted(order)
    turn = {name: at for at, names in found.items() for name in names}
    for name, turns in readers(one).items():
        assert turn[name] == max(turns, default=name, key=order.index)


def test_a_chain_of_lazy_operations() -> None:
    """x is read by a, which b reads, which c emits: all three rows stay until c."""
    one = program(
        Step(out="x"),
        Step(out="a", reads=("x",), late=True),
        Step(out="b", reads=("a",), late=True),
        Step(out="other", reads=("x",)),
        Step(out="c", reads=("b", "other")),
        Step(out="logits", reads=("c",)),
        encoder=2,
    )
    assert last_uses(one) == {
        "x": [], "a": [], "b": [], "other": [], "c": ["x", "a", "b", "other"],
        "logits": ["c", "logits"],
    }  # fmt: skip


def lowered(kind: str, options: LoweringOptions) -> tuple[Program, dict[str, bytes]]:
    model = every_kind.random_model(kind, fill=every_kind.trained)
    texts = every_kind.sentences(model, 12, 0)
    sources = texts if model.translates else [[] for _ in texts]
    program, tensors = lower.lower(model, sources, texts[::-1], options)
    return program, {name: tensor.tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("kind", every_kind.KINDS)
@pytest.mark.parametrize("options", [{}, {"rescaling": "dynamic", "requantize": "shift"}])
def test_what_is_forgotten_is_never_missed(
    kind: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is the same as if all rows and all moments stayed."""
    chosen = LoweringOptions(positions=16, **options)
    program, tensors = lowered(kind, chosen)
    dropped: list[str] = []
    monkeypatch.setattr(Observed, "forget", lambda self, name: dropped.append(name))
    monkeypatch.setattr(IntegerWeights, "forget", lambda self, x: None)
    kept_program, kept_tensors = lowered(kind, chosen)
    assert msgspec.json.encode(program) == msgspec.json.encode(kept_program)
    assert tensors == kept_tensors
    values = [operation.out for operation in every_kind.random_model(kind).program.operations]
    assert set(values) <= set(dropped)
    assert len(dropped) == len(set(dropped))


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_lowering_ends_with_nothing_observed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither rows, nor their extremes, nor moments."""
    emitters = []

    class Kept(Emitter):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            emitters.append(self)

    monkeypatch.setattr(lower, "Emitter", Kept)
    _, tensors = lowered(kind, LoweringOptions(positions=16))
    (emitter,) = emitters
    assert tensors
    assert not emitter.observed.rows
    assert not emitter.observed._extremes
    assert not emitter.weights._inputs


def test_lowering_leaves_the_model_alone() -> None:
    for kind in every_kind.KINDS:
        model = every_kind.random_model(kind)
        before = {name: model.tensors[name].copy() for name in model.tensors}
        texts = every_kind.sentences(model, 12, 0)
        sources = texts if model.translates else [[] for _ in texts]
        lower.lower(model, sources, texts, LoweringOptions(positions=16))
        assert before.keys() == set(model.tensors)
        for name, tensor in before.items():
            np.testing.assert_array_equal(model.tensors[name], tensor)
