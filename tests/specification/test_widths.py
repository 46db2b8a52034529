"""The widths of the specification suffice, and operands exist that need them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from int8ref.engines import reference as engine
from int8ref.program.program import takes_source
from int8ref.reference import instructions, operation
from int8ref.spec import trace
from tests.fuzz.random_programs import RandomProgram, UnfinishedError
from tests.helpers.tracing import Seen, note, tracing
from tests.helpers.width_cases import UNREACHED, corner_operands, operands, parameters
from tests.helpers.widths import WIDTHS, Range, bits, evaluate

SEEDS = range(30)
COPIES = {"append", "argmax", "lookup"}
"""Operations without an intermediate."""


def exceeded(op: str, given: dict[str, Any], seen: Seen) -> list[str]:
    """The intermediates that left their ranges."""
    known = parameters(op, given)
    ranges = {one.name: one.of(known) for one in WIDTHS[op].ranges}
    return [
        f"{op}: {name} is in [{low}, {high}], not in {list(ranges[name])}"
        for name, (low, high) in seen.items()
        if low < ranges[name][0] or high > ranges[name][1]
    ]


def test_every_operation_has_widths() -> None:
    assert set(WIDTHS) | COPIES == set(instructions())
    assert not set(WIDTHS) & COPIES


@pytest.mark.parametrize("op", sorted(WIDTHS))
def test_the_corner_cases_reach_the_widths(op: str) -> None:
    """Every range has a corner case that needs its bits, and no corner case leaves a range.

    The recorded intermediate values are in the ranges of their names too.
    """
    reached: set[str] = set()
    recorded = {one.recorded: one.name for one in WIDTHS[op].ranges if one.recorded}
    unseen = set(recorded)
    for given in corner_operands(op):
        with tracing(WIDTHS[op].ranges) as seen, trace.tracing() as told:
            operation(op)(**given)
        assert exceeded(op, given, seen) == []
        found = {n: x for n, x in told.arrays().items() if n in recorded}
        unseen -= set(found)
        limits = {recorded[n]: (int(x.min()), int(x.max())) for n, x in found.items() if x.size}
        assert exceeded(op, given, limits) == []
        known = parameters(op, given)
        reached |= {
            one.name
            for one in WIDTHS[op].ranges
            if one.name in seen and needed(one, seen[one.name], known) == bits(*one.of(known))
        }
    assert {one.name for one in WIDTHS[op].ranges} - reached == UNREACHED.get(op, set())
    assert unseen == set()


def needed(one: Range, seen: tuple[int, int], known: dict[str, int]) -> int:
    """Bits of the seen values, with a sign if the range has negative values."""
    low, high = seen
    return bits(min(low, -1) if one.of(known)[0] < 0 else low, high)


def test_random_programs_stay_within_the_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    seen_of: dict[str, Seen] = {}
    problems: list[str] = []

    def observed(instruction: Any, values: Any, tensors: Any) -> Any:
        if instruction.op not in WIDTHS:
            return original(instruction, values, tensors)
        with tracing(WIDTHS[instruction.op].ranges) as seen:
            results = original(instruction, values, tensors)
        given = operands(instruction, values, tensors)
        problems.extend(exceeded(instruction.op, given, seen))
        for name, (low, high) in seen.items():
            note(seen_of.setdefault(instruction.op, {}), name, low, high)
        return results

    original = engine.run_instruction
    monkeypatch.setattr(engine, "run_instruction", observed)
    for seed in SEEDS:
        try:
            run(RandomProgram(seed))
        except UnfinishedError:
            continue
    assert problems == []
    assert len(seen_of) >= 15


def run(made: RandomProgram) -> None:
    """Encode two sentences, and run two steps, unless the Program is an encoder alone."""
    program, random = made.program, np.random.default_rng(0)
    most = program.max_source_length if takes_source(program) else 0
    lengths = (most, max(most // 2, 1)) if most else (0, 0)
    batch = [random.integers(0, max(made.source_vocabulary, 1), n).tolist() for n in lengths]
    session = engine.ReferenceEngine(program, made.tensors).session(batch)
    for _ in range(0 if program.encodes else 2):
        logits = session.step(random.integers(0, made.vocabulary, 2).astype(np.int32))
        program.softmax.of(logits)


def test_bits() -> None:
    assert [bits(0, 0), bits(0, 1), bits(0, 255), bits(-1, 0), bits(-128, 127)] == [0, 1, 8, 1, 8]
    assert [bits(-128, 128), bits(-129, 0), bits(-(2**31), 2**31 - 1)] == [9, 9, 32]
    assert evaluate("min(2^n, 100 / 3)", {"n": 10}) == 33
