"""lookup: a table of 256 values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.lookup import Lookup
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    dtype = draw(st.sampled_from(["int8", "int16"]))
    blocks = draw(st.sampled_from([n for n in range(1, shape[1] + 1) if shape[1] % n == 0]))
    fields = {} if blocks == 1 and draw(st.booleans()) else {"blocks": blocks}
    return Case(
        Lookup(x="x", table="table", out="out", **fields),
        {"x": draw(integers("int8", shape))},
        {"table": draw(integers(dtype, (256 * blocks,)))},
    )


@given(cases())
def test_is_the_table(case: Case) -> None:
    op: Lookup = case.instruction  # type: ignore[assignment]
    table, found = case.tensors["table"].tolist(), run_reference(case)["out"]
    width, blocks = case.values["x"].shape[1], op.blocks or 1
    assert found.tolist() == [
        [table[256 * (c * blocks // width) + code + 128] for c, code in enumerate(row)]
        for row in case.values["x"].tolist()
    ]
    assert found.dtype == case.tensors["table"].dtype


def test_every_code() -> None:
    table = np.arange(256, dtype=np.int16)[::-1].copy()
    codes = np.arange(-128, 128).astype(np.int8)[None]
    case = Case(Lookup(x="x", table="table", out="out"), {"x": codes}, {"table": table})
    assert run_reference(case)["out"].tolist() == [list(range(255, -1, -1))]


def test_blocks_divide_the_channels() -> None:
    case = Case(
        Lookup(x="x", table="table", blocks=2, out="out"),
        {"x": np.zeros((1, 5), np.int8)},
        {"table": np.zeros(512, np.int8)},
    )
    with pytest.raises(ProgramError, match="5 channels in 2 blocks"):
        case.types()


def test_there_are_at_most_64_blocks() -> None:
    for blocks in (64, 65):
        case = Case(
            Lookup(x="x", table="table", blocks=blocks, out="out"),
            {"x": np.zeros((1, blocks), np.int8)},
            {"table": np.zeros(256 * blocks, np.int8)},
        )
        if blocks == 64:
            case.types()
        else:
            with pytest.raises(ProgramError, match=r"blocks is 65, outside \[1, 64\]"):
                case.types()


def test_a_table_for_each_block() -> None:
    case = Case(
        Lookup(x="x", table="table", blocks=2, out="out"),
        {"x": np.zeros((1, 4), np.int8)},
        {"table": np.zeros(256, np.int8)},
    )
    with pytest.raises(ProgramError, match=r"wanted \[512\]"):
        case.types()
