"""requantize: accumulators on a new scale, compared with exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.requantize import Requantize
from int8ref.reference.rescale import MAX_EXPONENT
from int8ref.spec.scope import ProgramError
from tests.ops.cases import Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows, width = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    factors = (draw(st.sampled_from([1, width])),)
    limit = draw(st.sampled_from([1, 127, 32766, 32767]) | st.integers(1, 32767))
    values = {"x": draw(integers("int32", (rows, width)))}
    tensors = {
        "multiplier": draw(integers("int16", factors, 0)),
        "shift": draw(integers("int8", (1,), 1, 62)),
    }
    fields: dict[str, Any] = {"x": "x", "limit": limit, "out": "out"}
    if draw(st.booleans()):
        values["exponent"] = draw(integers("int8", (rows,), 0, MAX_EXPONENT))
        tensors["bias"] = draw(integers("int16", (width,)))
        fields |= {"exponent": "exponent", "bias_shift": draw(st.integers(0, 40))}
    return Case(Requantize(**fields, **{name: name for name in tensors}), values, tensors)


@given(cases())
def test_is_exact(case: Case) -> None:
    op: Requantize = case.instruction  # type: ignore[assignment]
    x, limit = case.values["x"], op.limit
    found = run_reference(case)["out"]
    exponents = case.values.get("exponent", np.zeros(len(x), np.int8)).tolist()
    biases = case.tensors.get("bias", np.zeros(x.shape[1], np.int16)).tolist()
    for (row, n), out in zip(ndindex(x.shape), found.flat, strict=True):
        at = n if len(case.tensors["multiplier"]) > 1 else 0
        total = int(x[row, n]) * int(case.tensors["multiplier"][at]) * 2 ** exponents[row]
        total += biases[n] * 2 ** (op.bias_shift or 0)
        wanted = floor(Fraction(total, 1 << int(case.tensors["shift"][0])) + Fraction(1, 2))
        assert out == max(-limit, min(limit, wanted))


def test_refuses_an_exponent_without_a_bias() -> None:
    values = {"x": np.zeros((1, 2), np.int32), "exponent": np.zeros(1, np.int8)}
    tensors = {"one": np.ones(1, np.int16), "shift": np.ones(1, np.int8)}
    op = Requantize(x="x", multiplier="one", shift="shift", limit=9, exponent="exponent", out="out")
    with pytest.raises(ProgramError, match="exponent, bias and bias_shift need each other"):
        Case(op, values, tensors).types()


def ndindex(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    return [(row, n) for row in range(shape[0]) for n in range(shape[1])]
