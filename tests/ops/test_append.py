"""append: a history of any length, followed by the columns of this step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.append import Append, append
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, steps, width = draw(st.integers(1, 5)), draw(st.integers(0, 6)), draw(st.integers(1, 70))
    column, more = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    return Case(
        Append(x="x", column=column, history="history", next_history="next_history"),
        {
            "x": draw(integers("int8", (rows, column + width + more))),
            "history": draw(integers("int8", (rows, steps, width)) if steps else
                            st.just(np.zeros((rows, 0, width), np.int8))),
        },
        domains={"history": "history"},
    )  # fmt: skip


@given(cases())
def test_is_the_history_and_a_row(case: Case) -> None:
    op: Append = case.instruction  # type: ignore[assignment]
    x, history = case.values["x"], case.values["history"]
    found = run_reference(case)["next_history"]
    assert found.shape == (len(x), history.shape[1] + 1, history.shape[2])
    for row, old, new in zip(x.tolist(), history.tolist(), found.tolist(), strict=True):
        assert new == [*old, row[op.column : op.column + history.shape[2]]]


def test_steps_add_up() -> None:
    history = np.zeros((2, 0, 3), np.int8)
    for step in range(5):
        history = append(np.full((2, 4), step, np.int8), 1, history)
    assert history[:, :, 0].tolist() == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("column", [-1, 2])
def test_refuses_columns_that_are_not_there(column: int) -> None:
    op = Append(x="x", column=column, history="history", next_history="next")
    values = {"x": np.zeros((1, 4), np.int8), "history": np.zeros((1, 1, 3), np.int8)}
    with pytest.raises(ProgramError, match=rf"column is {column}, outside \[0, 1\]"):
        Case(op, values, domains={"history": "history"}).types()


@pytest.mark.parametrize(("x", "history"), [("source", "history"), ("target", "target")])
def test_refuses_other_domains(x: str, history: str) -> None:
    op = Append(x="x", column=0, history="history", next_history="next")
    values = {"x": np.zeros((1, 4), np.int8), "history": np.zeros((1, 1, 3), np.int8)}
    with pytest.raises(ProgramError, match="not of domain"):
        Case(op, values, domains={"x": x, "history": history}).types()  # type: ignore[dict-item]
