"""pool: compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import floor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.pool import FIRST, LAST, MEAN, Pool
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference

DOMAINS = {"x": "source", "source.offsets": "sentence"}


def case_of(x: np.ndarray, lengths: list[int], tensors: dict[str, np.ndarray], **fields) -> Case:
    """Return an instruction that pools sentences of these lengths."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    named = {"multiplier": "multiplier", "shift": "shift", "out": "out"}
    op = Pool(x="x", offsets="source.offsets", **named, **fields)
    return Case(op, {"x": x, "source.offsets": offsets}, tensors, DOMAINS)  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=5))
    width = draw(st.integers(1, 40))
    tensors = {
        "multiplier": draw(integers("int16", (draw(st.sampled_from([1, width])),), 0)),
        "shift": draw(integers("int8", (1,), 1, 40)),
    }
    x = draw(integers(draw(st.sampled_from(["int8", "int16"])), (sum(lengths), width)))
    limit = draw(st.sampled_from([127, 127, 1, 128, 32767]))
    return case_of(x, lengths, tensors, rows=draw(st.integers(0, 2)), limit=limit)


LONGEST = case_of(
    np.full((1024, 2), [-32768, 32767], np.int16),
    [1024],
    {"multiplier": np.array([2**15 - 1], np.int16), "shift": np.array([40], np.int8)},
    rows=MEAN,
    limit=32767,
)


@given(cases())
@example(LONGEST)
def test_is_exact(case: Case) -> None:
    op: Pool = case.instruction  # type: ignore[assignment]
    x, offsets = case.values["x"].astype(object), case.values["source.offsets"].tolist()
    found = run_reference(case)["out"]
    assert found.dtype == (np.int8 if op.limit <= 127 else np.int16)
    assert found.shape == (len(offsets) - 1, x.shape[1])
    factors = np.broadcast_to(case.tensors["multiplier"].astype(object), x.shape[1])
    scale = Fraction(1, 1 << int(case.tensors["shift"][0]))
    chosen = {MEAN: slice(None), FIRST: slice(0, 1), LAST: slice(-1, None)}[op.rows]
    for b, (first, last) in enumerate(pairwise(offsets)):
        rows = x[first:last][chosen]
        for c in range(x.shape[1]):
            mean = Fraction(int(sum(rows[:, c])), len(rows)) * int(factors[c]) * scale
            wanted = floor(mean + Fraction(1, 2))
            assert found[b, c] == max(-op.limit, min(op.limit, wanted))


@given(cases(), st.data())
def test_sentences_do_not_see_each_other(case: Case, data: st.DataObject) -> None:
    offsets = case.values["source.offsets"].tolist()
    b = data.draw(st.integers(0, len(offsets) - 2))
    rows = case.values["x"][offsets[b] : offsets[b + 1]]
    op: Pool = case.instruction  # type: ignore[assignment]
    alone = case_of(rows, [len(rows)], case.tensors, rows=op.rows, limit=op.limit)
    np.testing.assert_array_equal(run_reference(alone)["out"][0], run_reference(case)["out"][b])


@pytest.mark.parametrize("lengths", [[2, 0], [1025]])
def test_numbers_of_rows_that_no_sentence_has(lengths: list[int]) -> None:
    tensors = {"multiplier": np.ones(1, np.int16), "shift": np.ones(1, np.int8)}
    case = case_of(np.zeros((sum(lengths), 3), np.int8), lengths, tensors, rows=0, limit=127)
    with pytest.raises(OverflowError, match="rows of a sentence"):
        run_reference(case)


def test_offsets_are_the_input() -> None:
    case = LONGEST
    op: Pool = case.instruction  # type: ignore[assignment]
    other = Pool(**{**{f: getattr(op, f) for f in op.__struct_fields__}, "offsets": "computed"})
    values = {**case.values, "computed": case.values["source.offsets"]}
    with pytest.raises(ProgramError, match=r"'computed' is not source\.offsets"):
        Case(other, values, case.tensors, {**case.domains, "computed": "sentence"}).types()
