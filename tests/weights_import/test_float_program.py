"""Float programs as graphs: who makes a value, who reads it, and when its rows are dropped."""

from __future__ import annotations

import every_kind
import pytest

from weights_import import lower
from weights_import.float_program import FloatProgram, Operation
from weights_import.lower import last_uses
from weights_import.lowering.observed import Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.operations.add import Add
from weights_import.operations.embedding import Embedding
from weights_import.operations.linear import Linear
from weights_import.operations.norm import Norm

EMBEDDING = Embedding(out="x", table="table")
NORM = Norm(out="norm", x="x", kind="l2", epsilon=1e-6)
ONE = Linear(out="one", x="norm", name="one")
TWO = Linear(out="two", x="norm", name="two")
SUM = Add(out="sum", a="one", b="x")
TWICE = Add(out="twice", a="two", b="two")
LAST = Linear(out="logits", x="sum", name="last")
PROGRAM = FloatProgram((EMBEDDING, NORM), (ONE, TWO, SUM, TWICE, LAST), "logits")


def test_producers_and_consumers() -> None:
    assert PROGRAM.operations == (EMBEDDING, NORM, ONE, TWO, SUM, TWICE, LAST)
    assert PROGRAM.producers() == {one.out: one for one in PROGRAM.operations}
    assert PROGRAM.consumers() == {
        "x": [NORM, SUM], "norm": [ONE, TWO], "one": [SUM], "two": [TWICE], "sum": [LAST],
        "twice": [], "logits": [],
    }  # fmt: skip


def test_last_uses() -> None:
    """Products are emitted with the sums that read them, which need the input of the product."""
    assert last_uses(PROGRAM) == {
        "x": [], "norm": [], "one": [], "two": [], "sum": ["x", "one"],
        "twice": ["norm", "two", "twice"], "logits": ["sum", "logits"],
    }  # fmt: skip


def needing(program: FloatProgram, name: str) -> list[Operation]:
    """Return the operations that need the rows of a value, by its definition."""
    found: list[Operation] = []
    for operation in program.operations:
        if operation.out == name:
            found.append(operation)
        if name in operation.inputs:
            found.append(operation)
            found += needing(program, operation.out) if operation.lazy else []
    return found


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_last_uses_of_every_kind(kind: str) -> None:
    program = every_kind.random_model(kind).program
    order = [operation.out for operation in program.operations]
    expected: dict[str, list[str]] = {name: [] for name in order}
    for name in order:
        expected[order[max(order.index(one.out) for one in needing(program, name))]].append(name)
    assert last_uses(program) == expected


@pytest.mark.parametrize("kind", every_kind.KINDS)
@pytest.mark.parametrize("rescaling", ["static", "dynamic"])
def test_rows_are_dropped_and_never_read_again(
    kind: str, rescaling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is read after it was dropped is a KeyError.  Logits are not computed."""
    model = every_kind.random_model(kind)
    order = [operation.out for operation in model.program.operations]
    last = {
        name: order.index(at) for at, names in last_uses(model.program).items() for name in names
    }
    observed = Observed()
    monkeypatch.setattr(lower, "Observed", lambda: observed)
    steps = 0

    def check(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        assert (done, total) == (steps, len(order))
        held = [name for name in order[:done] if last[name] >= done and name != "output"]
        assert list(observed.rows) == held

    texts = every_kind.sentences(model, 9, 0)
    sources = texts if model.translates else [[] for _ in texts]
    options = LoweringOptions(positions=16, rescaling=rescaling)  # type: ignore[arg-type]
    lower.lower(model, sources, texts[::-1], options, check)
    assert steps == len(order)
    assert not observed.rows
