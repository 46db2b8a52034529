"""Checks of a single instruction: names, types, and bounds of its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from int8ref.reference import instructions
from int8ref.spec.instruction import Instruction, snake_case
from int8ref.spec.scope import Facts, ProgramError, Scope, ValueType


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("LayerNormL2", "layer_norm_l2"), ("Ssru", "ssru"), ("MatchAdd", "match_add")],
)
def test_snake_case(name: str, wanted: str) -> None:
    assert snake_case(name) == wanted


Check = Callable[[Scope], object]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda s: s.value("y", "int8"), "here: value 'y' is not defined"),
        (lambda s: s.value("x", "int16 int32"), "is int8.target, 4., not int16 int32"),
        (lambda s: s.value("x", "int8", 5), "not of width 5"),
        (lambda s: s.value("x", "int8", 4, "source"), "not of domain source"),
        (lambda s: s.tensor("u", "int8", (2,)), "tensor 'u' is missing"),
        (lambda s: s.tensor("t", "int8", (None, 4)), r"wanted \[any, 4\]"),
        (lambda s: s.tensor("t", "int8", (None,)), r"wanted \[any\]"),
        (lambda s: s.tensor("t", "int8", (2, 3), low=0), "holds -5, below 0"),
        (lambda s: s.tensor("t", "int8", (2, 3), high=3), "holds 5, above 3"),
        (lambda s: s.define("x", ValueType("target", "int8", 1)), "'x' is defined twice"),
        (lambda s: s.define("z", ValueType("target", "int8", 2**20 + 1)), "has width 1048577"),
        (lambda s: s.define("z", ValueType("target", "int8", -1)), "has width -1"),
        (lambda s: s.constant("n", 4, 1, 3), r"n is 4, outside \[1, 3\]"),
    ],
)
def test_scope(check: Check, message: str) -> None:
    tensor = np.array([[-5, 0, 5], [1, 2, 3]], np.int8)
    scope = Scope("here", {"x": ValueType("target", "int8", 4)}, Facts({"t": tensor}))
    with pytest.raises(ProgramError, match=message):
        check(scope)
    assert set(scope.values) == {"x"}


def check_alone(instruction: Instruction, values: dict[str, ValueType], **tensors: Any) -> None:
    instruction.check(Scope("here", values, Facts(tensors)))


def test_layer_norm_refuses_wide_rows() -> None:
    fields = {"bias_shift": 0, "shift": 9, "epsilon": 1, "wide_bits": 1, "out": "y", "wide": "z"}
    op = instructions()["layer_norm_l2"](x="x", gain="g", bias="b", **fields)
    for width, fits in ((8192, True), (8193, False)):
        tensors = {"g": np.ones(width, np.int16), "b": np.ones(width, np.int16)}
        values = {"x": ValueType("target", "int16", width)}
        if fits:
            check_alone(op, values, **tensors)
        else:
            with pytest.raises(ProgramError, match="width is 8193, outside"):
                check_alone(op, values, **tensors)
    tensors = {"g": np.full(1024, 32767, np.int16), "b": np.zeros(1024, np.int16)}
    with pytest.raises(ProgramError, match="gain and bias may reach 2214525184, over 32 bits"):
        check_alone(op, {"x": ValueType("target", "int16", 1024)}, **tensors)


def test_linear_proves_its_accumulators() -> None:
    """For K up to 131071, the sum of any int8 products fits.  For larger K, the weight decides."""
    op = instructions()["linear"](x="x", weight="w", bias="b", out="y")

    def check(k: int, weight: int, bias: int) -> None:
        tensors = {"w": np.full((1, k), weight, np.int8), "b": np.array([bias], np.int32)}
        check_alone(op, {"x": ValueType("target", "int8", k)}, **tensors)

    check(131071, -128, 2**14 - 1)
    check(140_000, 1, 0)
    for k, bias in ((131071, 2**14), (131072, 0)):
        with pytest.raises(ProgramError, match="accumulators may reach 2147483648, over 32"):
            check(k, -128, bias)


def test_shift_only_leaves_room_for_its_rounding() -> None:
    op = instructions()["linear"](x="x", weight="w", bias="b", shift="s", out="y")

    def check(shift: int, bias: int) -> None:
        tensors = {"w": np.full((1, 2), 1, np.int8), "b": np.array([bias], np.int32)}
        tensors["s"] = np.array([shift], np.int8)
        check_alone(op, {"x": ValueType("target", "int8", 2)}, **tensors)

    room = 2**31 - 1 - 128 * 128 * 2
    check(30, room - 2**29)
    with pytest.raises(ProgramError, match="shift is too large"):
        check(30, room - 2**29 + 1)
    with pytest.raises(ProgramError, match="holds 31, above 30"):
        check(31, 0)
