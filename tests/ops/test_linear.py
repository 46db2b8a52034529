"""linear: compared with exact integers.  Its fused epilogues equal the separate operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.linear import Linear, accumulator_bound, linear
from int8ref.reference.requantize import requantize
from int8ref.spec.scope import Facts, Tensors
from tests.kernels.quad_weights import within_quads
from tests.ops.cases import Case, integers, run_reference

sizes = st.integers(1, 9) | st.sampled_from([15, 16, 17, 63, 64, 65, 70])


FORMS = ("accumulators", "shift", "multiplier")


@st.composite
def cases(draw: st.DrawFn, forms: Sequence[str] = FORMS) -> Case:
    rows, k, n = draw(st.integers(1, 8)), draw(sizes), draw(sizes)
    form = draw(st.sampled_from(forms))
    bias_shift = draw(st.integers(0, 15))
    shift_only = draw(st.integers(1, 30))
    room = 2**31 - 1 - 2**14 * k - (2 ** (shift_only - 1) if form == "shift" else 0)
    room >>= bias_shift
    dtype = draw(st.sampled_from(["int16", "int32"]))
    largest = min(room, np.iinfo(dtype).max)
    weight = draw(integers("int8", (n, k)))
    if draw(st.booleans()):
        weight = within_quads(weight)  # some CPUs use another instruction
    tensors = {
        "weight": weight,
        "bias": draw(integers(dtype, (n,), -largest, largest)),
    }
    fields: dict[str, Any] = {}
    channels = (draw(st.sampled_from([1, n])),)
    if form == "shift":
        tensors["shift"] = draw(integers("int8", channels, 1, shift_only))
    if form == "multiplier":
        tensors["shift"] = draw(integers("int8", (1,), 16, 46))
        tensors["multiplier"] = draw(integers("int16", channels, 0))
        fields["multiplier"] = "multiplier"
    if form != "accumulators":
        fields["shift"] = "shift"
        fields["low"] = draw(st.sampled_from([-127, 0]) | st.integers(-127, 127))
        fields["high"] = draw(st.just(127) | st.integers(fields["low"], 127))
    return Case(
        Linear(x="x", weight="weight", bias="bias", bias_shift=bias_shift, out="out", **fields),
        {"x": draw(integers("int8", (rows, k)))},
        tensors,
    )


def exact_accumulators(case: Case) -> Any:
    """Return x . weight^T + bias in Python's integers."""
    x, weight = case.values["x"].astype(object), case.tensors["weight"].astype(object)
    return x @ weight.T + case.tensors["bias"].astype(object) * 2**case.instruction.bias_shift  # type: ignore[attr-defined]


@given(cases(["accumulators"]))
def test_accumulators_are_exact(case: Case) -> None:
    found = run_reference(case)["out"]
    assert found.dtype == np.int32
    assert found.tolist() == exact_accumulators(case).tolist()


@given(cases(["shift", "multiplier"]))
def test_bytes_are_exact(case: Case) -> None:
    op: Linear = case.instruction  # type: ignore[assignment]
    found, acc = run_reference(case)["out"], exact_accumulators(case)
    shift = case.tensors["shift"].astype(object)
    factor = case.tensors["multiplier"].astype(object) if op.multiplier else 1
    wanted = (2 * acc * factor + 2**shift) // (2 * 2**shift)  # floor(acc * factor / 2^shift + 1/2)
    assert found.dtype == np.int8
    assert found.tolist() == np.clip(wanted, op.low, op.high).tolist()


@given(cases())
def test_bound_holds_for_every_input(case: Case) -> None:
    op: Linear = case.instruction  # type: ignore[assignment]
    worst = np.where(case.tensors["weight"] > 0, np.int8(-128), np.int8(127)).astype(np.int8)
    acc = exact_accumulators(Case(case.instruction, {"x": worst}, case.tensors))
    assert max(abs(a) for a in acc.flat) <= accumulator_bound(Facts(case.tensors), op)


def test_bound_from_the_weight_itself() -> None:
    """If the cheap bound is too large, the rows of the weight decide."""
    weight = np.ones((2, 140_000), np.int8)
    assert 128 * 128 * weight.shape[1] > 2**31
    tensors: Tensors = {"weight": weight, "bias": np.array([-7, 3], np.int32)}
    op = Linear(x="x", weight="weight", bias="bias", bias_shift=1, out="out")
    assert accumulator_bound(Facts(tensors), op) == 128 * 140_000 + 14


@given(cases(["multiplier"]))
def test_fused_epilogue_is_the_composition(case: Case) -> None:
    op: Linear = case.instruction  # type: ignore[assignment]
    parts = Linear(x="x", weight="weight", bias="bias", bias_shift=op.bias_shift, out="out")
    acc = run_reference(Case(parts, case.values, case.tensors))["out"]
    data = requantize(acc, case.tensors["multiplier"], case.tensors["shift"], 32767)
    np.testing.assert_array_equal(np.clip(data, op.low, op.high), run_reference(case)["out"])


def test_refuses_to_wrap() -> None:
    x, weight = np.full((1, 2), -128, np.int8), np.full((1, 2), -128, np.int8)
    bias = np.array([2**31 - 1], np.int32)
    with pytest.raises(OverflowError, match="linear: accumulator: 2147516415 is outside"):
        linear(x, weight, bias)
    assert linear(x, weight, bias - 2**15).tolist() == [[2**31 - 1]]
