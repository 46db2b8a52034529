"""One instruction with its operands, and all ways to run it.

A test file of this folder defines a strategy `cases()` for its operation.  `run_reference` and
`run_step` need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.abi.call import RUN
from int8ref.engines.compiled import Call
from int8ref.engines.reference import run_instruction
from int8ref.machine.loop.interpreter import run
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.model.assemble import Assembler, Code, attentions, scratch_bytes
from int8ref.machine.model.histories import pitch_of
from int8ref.machine.model.places import FOREVER, Places, allocate
from int8ref.machine.model.prepare import Prepared
from int8ref.program.inputs import Values
from int8ref.program.program import SOURCE_INPUTS, Tensors
from int8ref.reference.append import Append
from int8ref.reference.linear import Linear
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import OFFSETS
from int8ref.spec.scope import Domain, Facts, Scope, ValueType
from tests.helpers.machine_text import machine_text
from tests.helpers.memory import WatchedMemory

Array = NDArray[Any]
INT32 = (-(2**31), 2**31 - 1)


@dataclass
class Case:
    """An instruction with values and tensors by name.  `domains`: the domains of the values."""

    instruction: Instruction
    values: Values
    tensors: Tensors = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)

    def types(self) -> dict[str, ValueType]:
        """Return the types of the values and of the results, by the instruction's own check."""
        types = {
            name: ValueType(
                self.domains.get(name, "target"),
                array.dtype.name,  # type: ignore[arg-type]
                array.shape[-1] if array.ndim > 1 else 0,
            )
            for name, array in self.values.items()
        }
        self.instruction.check(Scope("case", types, Facts(self.tensors)))
        return types

    def results(self) -> list[tuple[str, tuple[int, ...], str]]:
        """Return (field, shape, dtype) of every result of the instruction."""
        types = self.types()
        shapes = {types[name].domain: array.shape for name, array in self.values.items()}
        if OFFSETS in self.values:
            shapes["sentence"] = (len(self.values[OFFSETS]) - 1,)
        found: list[tuple[str, tuple[int, ...], str]] = []
        for place, kind, name in self.instruction.operands():
            if kind == "result" and name is not None:
                kept = types[name]
                rows = shapes[kept.domain][:-1] or shapes[kept.domain]
                rows = (rows[0], rows[1] + 1) if kept.domain == "history" else rows[:1]
                found.append((place, (*rows, kept.width) if kept.width else rows, kept.dtype))
        return found


def run_reference(case: Case) -> dict[str, Array]:
    """Return field -> result, by the golden model."""
    found = run_instruction(case.instruction, case.values, case.tensors)
    return {
        place: found[name]
        for place, kind, name in case.instruction.operands()
        if kind == "result" and name is not None
    }


def run_step(case: Case) -> dict[str, Array]:
    """Return field -> result, by the assembler, an arena and native code, as translations run.

    With NUMBA_DISABLE_JIT, the kernel runs as plain Python.  The function asserts that only the
    results and the scratch memory have changed.
    """
    types = {**SOURCE_INPUTS, **case.types()}
    names = case.instruction.names("result")
    histories = [name for name, kind in types.items() if kind.domain == "history"]
    shared = dict.fromkeys(histories[1:], *histories[:1])  # in place, as a state and its successor
    places = allocate(types, dict.fromkeys(types, (-1, FOREVER)), shared)
    pitches = pitches_of(case, types, names)
    assembler = Assembler(places, Prepared(case.tensors, types, {}), pieces=pitches)
    rows = assembler.code([case.instruction])
    memory = WatchedMemory()
    arena = _arena(case, _code(case, rows, places, types, pitches), memory)
    for name, array in case.values.items():
        arena.set_value(name, array)
    if numba.config.DISABLE_JIT:
        run(rows.ctypes.data, len(rows), arena.address)
    else:
        machine_text()
        call = Call(RUN, memory, arena.address)
        call.set(code=rows.ctypes.data, code_rows=len(rows))
        call.run()
    memory.check()
    for name, array in case.values.items():
        np.testing.assert_array_equal(_inside(arena, name, array.shape), array, name)
    fields = [(place, shape) for place, shape, _ in case.results()]
    return {
        place: _inside(arena, name, shape).copy()
        for (place, shape), name in zip(fields, names, strict=True)
    }


def pitches_of(case: Case, types: dict[str, ValueType], results: list[str]) -> dict[str, int]:
    """Return the columns of a piece of each history; of an append, a divisor of its columns."""
    found = {}
    for name, kind in types.items():
        if kind.domain == "history":
            widths = [n for n in (64, 8, 5, 3, 2) if kind.width % n == 0]
            found[name] = pitch_of([name], kind.width, [case.instruction])
            if name in results or isinstance(case.instruction, Append):
                found[name] = widths[0] if widths else kind.width
    return found


def _code(
    case: Case,
    rows: Array,
    places: Places,
    types: dict[str, ValueType],
    pitches: dict[str, int],
) -> Code:
    """Return a Program of one instruction, with the fields that an arena needs."""
    nothing = rows[:0]
    inputs = case.values[case.instruction.x].shape[1] if isinstance(case.instruction, Linear) else 1
    return Code(
        encoder=rows,
        decoder=nothing,
        greedy_decoder=nothing,
        shared_rows=0,
        states=nothing,
        targets=nothing,
        places=places.by_name,
        pitches=pitches,
        row_bytes=places.row_bytes,
        depth=inputs,
        attentions=attentions([case.instruction]),
        scratch_bytes=scratch_bytes(case.instruction, types),
        takes_source=True,
        kept=[],
    )


def _arena(case: Case, code: Code, memory: Memory) -> Arena:
    """Return an arena for more rows than the values have."""
    kinds, values = case.types(), case.values
    rows = {kinds[name].domain: len(array) for name, array in values.items()}
    lengths = (
        np.diff(values["source.offsets"]) if "source.offsets" in values else [rows.get("source", 1)]
    )
    steps = max((array.shape[1] for array in values.values() if array.ndim == 3), default=0)
    targets = max(rows.get("target", 1), rows.get("history", 1))
    arena = Arena(code, memory, [[0] * int(n) for n in lengths], targets, steps + 3)
    arena.set_rows("history", steps + isinstance(case.instruction, Append))
    return arena


def _inside(arena: Arena, name: str, shape: tuple[int, ...]) -> Array:
    """Return a value of this shape.  For a history, return its first steps."""
    found = arena.value(name)
    return found[:, : shape[1]] if len(shape) == 3 else found


@st.composite
def integers(
    draw: st.DrawFn, dtype: str, shape: tuple[int, ...], low: int | None = None,
    high: int | None = None,
) -> Array:  # fmt: skip
    """Draw integers of a dtype: uniform, small, extreme, constant, or rows of different kinds."""
    limits = np.iinfo(dtype)
    low = int(limits.min) if low is None else low
    high = int(limits.max) if high is None else high
    kind = draw(
        st.sampled_from(["uniform", "uniform", "small", "low", "high", "extreme", "rows", "zero"])
    )
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    clamped_zero = min(max(0, low), high)
    uniform = random.integers(low, high, shape, endpoint=True)
    if kind == "small":
        near = (max(low, clamped_zero - 3), min(high, clamped_zero + 3))
        return random.integers(*near, shape, endpoint=True).astype(dtype)
    if kind == "rows":
        by_row = random.choice([low, high, clamped_zero, int(uniform.flat[0])], (shape[0],))
        by_row = by_row.reshape(-1, *(1,) * (len(shape) - 1))
        pick = random.integers(0, 2, by_row.shape)
        return np.where(pick, by_row, uniform).astype(dtype)
    content = {
        "uniform": uniform,
        "low": np.full(shape, low),
        "high": np.full(shape, high),
        "extreme": random.choice([low, high], shape),
        "zero": np.full(shape, clamped_zero),
    }
    return content[kind].astype(dtype)
