"""Corner cases: nothing is forgotten, and both backends give the same bits."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from int8ref.corners import Case, cases_of, primitives, record_corners
from int8ref.errors import UserError
from int8ref.golden.archive import archive
from int8ref.reference import instructions
from int8ref.reference.attention import Attention
from int8ref.spec import arithmetic
from int8ref.spec.instruction import operands_of
from int8ref.spec.operands import Constant, Operand, PerChannel, Result, Rows, Sizes, Tensor
from int8ref.spec.scope import Facts, Scope
from tests.ops import cases as ops

OPS = sorted(instructions())
MAX_BYTES = 5_000_000
DIGEST = "f4e4c6c5daf390370f9b216848dfc7161e2bf25fc1567c8c94d3060bde11a2c0"
"""SHA-256 of the archive of all corner cases.  Only a change of the cases changes it."""
ALL_COLUMNS = {
    (op, f"{part}_column", 1 << 20): "a row would have a million columns"
    for op in ("attention_polynomial", "attention_softmax")
    for part in ("query", "key", "value")
}
UNREACHED = ALL_COLUMNS | {
    ("rms_norm_heads", "column", 1 << 20): "a row would have a million columns",
    ("attention_polynomial", "delta_multiplier", 1): "a delta of 1/4 vanishes",
    ("match_add", "exponent", -128): "the exponents of rescale are 0 to 9",
    ("match_add", "exponent", 127): "the exponents of rescale are 0 to 9",
    ("rms_norm_branch", "exponent", -128): "the exponents of rescale are 0 to 9",
    ("rms_norm_branch", "exponent", 127): "the exponents of rescale are 0 to 9",
    ("embed", "multiplier", 1 << 30): "the sum could leave 32 bits, because a table may hold -128",
    ("embed", "channel_multiplier", 1 << 30): "the sum could leave 32 bits",
    ("attention_softmax", "before", (1 << 17) - 1): "a table would have 2^17 addends",
    ("attention_softmax", "after", (1 << 17) - 1): "a table would have 2^17 addends",
}
"""Ends of ranges that no case can have, with the reason."""
NOT_PRIMITIVES = {"require_range", "_exp2_fraction"}


@cache
def every(op: str) -> list[Case]:
    return cases_of(op)


@cache
def computed(op: str) -> list[tuple[Case, dict[str, Any]]]:
    """Return each case with its results."""
    return [(case, case.results()) for case in every(op)]


def contents(op: str, field: str) -> list[Any]:
    """Return the content of a field in all cases."""
    return [
        content
        for case in every(op)
        for name, _, content in case.instruction.operands()
        if name == field
    ]


@pytest.mark.parametrize("op", OPS)
def test_cases_are_valid_and_have_names_of_their_own(op: str) -> None:
    cases = every(op)
    assert len(cases) >= 5
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        assert case.instruction.op == op
        assert case.reason
        case.check()


@pytest.mark.parametrize("op", OPS)
def test_every_optional_operand_is_present_and_absent(op: str) -> None:
    for declared in msgspec.structs.fields(instructions()[op]):
        found = contents(op, declared.name)
        assert any(content is not None for content in found), declared.name
        if declared.default is None or declared.default is msgspec.UNSET:
            assert any(content is None for content in found), declared.name


def sizes_of(case: Case) -> Sizes:
    """Return the sizes of an instruction, from its operands."""
    sizes, facts = Sizes(case.instruction), Facts(case.tensors)
    scope = Scope(case.name, case.types(), facts)
    for field, operand in operands_of(type(case.instruction)):
        content = getattr(case.instruction, field)
        if operand.kind in ("value", "tensor") and isinstance(content, str):
            operand.check(scope, sizes, field, content)
    return sizes


Ends = Iterator[tuple[int, int, int, int]]
"""(low, high, smallest number, largest number) of an operand in each case."""


def ends(op: str, field: str, operand: Operand) -> Ends:
    for case in every(op):
        content = getattr(case.instruction, field)
        if isinstance(content, int) and isinstance(operand, Constant):
            sizes = sizes_of(case)
            yield sizes.of(operand.low), sizes.of(operand.high), content, content
        elif isinstance(content, str) and not isinstance(operand, Constant | Result):
            array = case.values[content] if content in case.values else case.tensors[content]
            low, high = getattr(operand, "low", None), getattr(operand, "high", None)
            limits = np.iinfo(array.dtype)
            if array.size and isinstance(operand, Rows | Tensor | PerChannel):
                yield (
                    int(limits.min) if low is None else low,
                    int(limits.max) if high is None else high,
                    int(array.min()),
                    int(array.max()),
                )


def proved(operand: Operand) -> bool:
    """Whether the check of an instruction limits a tensor further: 32 bits without a range."""
    open_range = isinstance(operand, Tensor) and operand.high is None
    return open_range and "int32" in getattr(operand, "dtypes", "")


@pytest.mark.parametrize("op", OPS)
def test_every_range_is_reached_at_both_ends(op: str) -> None:
    missing = []
    for field, operand in operands_of(instructions()[op]):
        found = list(ends(op, field, operand))
        for side in (0, 1):
            reached = [numbers[side] == numbers[2 + side] for numbers in found]
            if (
                found
                and not any(reached)
                and not (proved(operand) and (side or operand.low is None))
            ):  # type: ignore[attr-defined]
                missing.append((op, field, found[0][side]))
    assert [end for end in missing if end not in UNREACHED] == []


def test_ends_that_no_case_can_have() -> None:
    """The list has no end that a case has."""
    for op, field, end in UNREACHED:
        operand = dict(operands_of(instructions()[op]))[field]
        assert all(end not in (numbers[2], numbers[3]) for numbers in ends(op, field, operand))


@pytest.mark.parametrize("op", OPS)
def test_every_type_and_form_occurs(op: str) -> None:
    for field, operand in operands_of(instructions()[op]):
        types: set[str] = set()
        lengths = set()
        for case, results in computed(op):
            content = getattr(case.instruction, field)
            if isinstance(content, str):
                arrays = case.values | case.tensors | results
                types.add(arrays[content].dtype.name)
                lengths.add(len(arrays[content]) == 1)
        wanted = getattr(operand, "dtypes", "").split()
        assert types >= set(wanted), field
        if isinstance(operand, PerChannel):
            assert lengths == {True, False}, field


def with_one_history(case: Case) -> ops.Case:
    """Return the case with keys and values in one history, because a run of one step has one."""
    values, instruction = dict(case.values), case.instruction
    if isinstance(instruction, Attention) and instruction.sentence is None:
        key, value = values.pop(instruction.key), values.pop(instruction.value)
        values["history"] = np.concatenate([key, value], axis=2)
        column = key.shape[2] + instruction.value_column
        changed = {"key": "history", "value": "history", "value_column": column}
        instruction = msgspec.structs.replace(instruction, **changed)
    return ops.Case(instruction, values, case.tensors, case.domains | {"history": "history"})


@pytest.mark.parametrize("op", OPS)
def test_native_code_gives_the_bits_of_the_reference(op: str) -> None:
    for case, wanted in computed(op):
        names = {field: name for field, _, name in case.instruction.operands()}
        for field, found in ops.run_step(with_one_history(case)).items():
            np.testing.assert_array_equal(found, wanted[names[field]], case.name)


def test_every_primitive_has_cases() -> None:
    functions = {
        name
        for name, function in inspect.getmembers(arithmetic, inspect.isfunction)
        if function.__module__ == arithmetic.__name__
    }
    assert {made.__name__ for made in primitives.PRIMITIVES} == functions - NOT_PRIMITIVES


def test_the_archive_is_small_and_has_the_bits_of_before() -> None:
    content = archive(record_corners())
    assert len(content) <= MAX_BYTES
    assert hashlib.sha256(content).hexdigest() == DIGEST


def test_some_operations() -> None:
    found = record_corners(["ssru", "argmax"])
    assert [told["op"] for told in found.records] == ["argmax"] * 8 + ["ssru"] * 5
    with pytest.raises(UserError, match="no operation 'conv': there are append, argmax"):
        record_corners(["conv"])
