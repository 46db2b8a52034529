"""One instruction with its operands, and every way to run it.

A test file of this folder gives a strategy `cases()` for its operation; `run_reference`,
`run_kernel` and `run_machine` need nothing else.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.engines.reference import run_instruction
from int8ref.program.inputs import Values
from int8ref.program.program import Tensors
from int8ref.reference.linear import Linear
from int8ref.reference.match_add import MatchAdd
from int8ref.spec.instruction import Domain, Facts, Instruction, Scope, ValueType
from tests.helpers.memory import GUARD, guarded

Array = NDArray[Any]
INT32 = (-(2**31), 2**31 - 1)
WORKSPACE_BYTES = 1 << 20


@dataclass
class Case:
    """An instruction over values and tensors by name; `domains` are those of the values."""

    instruction: Instruction
    values: Values
    tensors: Tensors = field(default_factory=dict)
    domains: dict[str, Domain] = field(default_factory=dict)

    def types(self) -> dict[str, ValueType]:
        """Types of the values and, by the instruction's own check, of its results."""
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
        """(field, shape, dtype) of every result that the instruction does not leave out."""
        types = self.types()
        shapes = {types[name].domain: array.shape for name, array in self.values.items()}
        found: list[tuple[str, tuple[int, ...], str]] = []
        for place, kind, name in self.instruction.operands():
            if kind == "result" and name is not None:
                kept = types[name]
                rows = shapes[kept.domain][:-1] or shapes[kept.domain]
                rows = (rows[0], rows[1] + 1) if kept.domain == "history" else rows[:1]
                found.append((place, (*rows, kept.width) if kept.width else rows, kept.dtype))
        return found


def run_reference(case: Case) -> dict[str, Array]:
    """Field -> result, by the golden model."""
    found = run_instruction(case.instruction, case.values, case.tensors)
    return {
        place: found[name]
        for place, kind, name in case.instruction.operands()
        if kind == "result" and name is not None
    }


def run_kernel(case: Case) -> dict[str, Array]:
    """Field -> result, by a call of the kernel: compiled, or not under NUMBA_DISABLE_JIT."""
    from int8ref.machine.model.prepare import Prepared, start

    op, types = case.instruction.op, case.types()
    kernel = getattr(importlib.import_module(f"int8ref.kernels.{op}"), op)
    outputs = {place: guarded(shape, dtype) for place, shape, dtype in case.results()}
    tensors = Prepared(case.tensors, types, {}).of(case.instruction, plain=False)
    if isinstance(case.instruction, MatchAdd):  # the machine has room for it
        factors = tensors["b_multiplier"]
        width = outputs["out"].shape[1]
        tensors["b_multiplier"] = np.ascontiguousarray(np.broadcast_to(factors, (width,)))
    if isinstance(case.instruction, Linear):  # a kernel by itself never adds up quads
        tensors["bias"] = start(case.instruction, case.tensors, plain=True)
    arguments: dict[str, Any] = {"workspace": np.empty(WORKSPACE_BYTES, np.uint8), **outputs}
    for place, kind, content in case.instruction.operands():
        if kind == "value":
            arguments[place] = None if content is None else case.values[content]
        elif kind == "result" and content is None:
            arguments[place] = np.empty((next(iter(outputs.values())).shape[0], 0), np.int16)
        elif kind == "tensor":
            arguments[place] = tensors.get(place)
        elif kind == "constant":
            arguments[place] = content
    callable_kernel(kernel, tensors)(*(arguments[name] for name in parameters(kernel)))
    for array in outputs.values():
        assert array.base is not None
        assert (array.base[-GUARD:] == 0x5A).all(), "written past the end"
    return outputs


def parameters(kernel: Any) -> list[str]:
    """Names of a kernel's parameters in order."""
    return list(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)


def callable_kernel(kernel: Any, tensors: Tensors) -> Any:
    """The kernel, or where it is chosen while a caller is compiled (`@overload`), the choice."""
    import numba

    if hasattr(kernel, "py_func") or numba.config.DISABLE_JIT:
        return kernel
    variant = importlib.import_module(kernel.__module__)._variant
    from int8ref.kernels.ir.compile import kernel as compiled

    choice = "multiplier" in tensors, "shift" in tensors
    return _VARIANTS.setdefault(choice, compiled(variant(*choice)))


_VARIANTS: dict[tuple[bool, bool], Any] = {}


def run_machine(case: Case) -> dict[str, Array]:
    """Field -> result, by the native machine: the object code that translations run."""
    from int8ref.abi import call as word
    from int8ref.abi.frame import (
        CAPACITY,
        CODE_WORDS,
        DOMAINS,
        FRAME_WORDS,
        HISTORY,
        MAX_STEPS,
        QUADS,
        ROWS,
        START_SHIFT,
        TARGET,
        WORKSPACE,
        operands_at,
    )
    from int8ref.machine.model.assemble import OPCODES
    from int8ref.machine.model.prepare import Prepared, start_shift
    from int8ref.machine.toolchain.native import machine
    from tests.helpers.machine_text import machine_text

    machine_text()
    types = case.types()
    shapes = {name: array.shape for name, array in case.values.items()}
    names = dict(zip((p for p, _, _ in case.results()), case.instruction.names("result"),
                     strict=True))  # fmt: skip
    shapes |= {names[place]: shape for place, shape, _ in case.results()}
    arena: dict[Domain, int] = dict.fromkeys(DOMAINS, 0)  # type: ignore[arg-type]
    capacity: dict[Domain, int] = dict.fromkeys(DOMAINS, 16)  # type: ignore[arg-type]
    prefix: dict[str, int] = {}
    histories = [name for name in shapes if types[name].domain == "history"]
    steps = max((shapes[name][1] for name in histories), default=0)
    for name, shape in shapes.items():
        kind = types[name]
        if name in histories and name not in case.values:
            prefix[name] = prefix[histories[0]]  # a history and its successor share their place
            continue
        prefix[name] = arena[kind.domain]
        width = max(kind.width, 1) * np.dtype(kind.dtype).itemsize
        arena[kind.domain] += -(-width // 4) * 4
        capacity[kind.domain] = max(capacity[kind.domain], -(-shape[0] // 16) * 16)
    most = steps + 3
    capacity["history"] = capacity["target"] * most
    memory = {d: np.full(arena[d] * capacity[d] + 64, 0x5A, np.uint8) for d in arena}
    bases = {d: -memory[d].ctypes.data % 64 for d in arena}
    frame = np.zeros(FRAME_WORDS, np.int64)

    def view(name: str) -> Array:
        kind, shape = types[name], shapes[name]
        if name in histories:
            shape = (shape[0], most, shape[2])
        start = bases[kind.domain] + prefix[name] * capacity[kind.domain]
        size = int(np.prod(shape)) * np.dtype(kind.dtype).itemsize
        found = memory[kind.domain][start : start + size].view(kind.dtype).reshape(shape)
        return found[:, : shapes[name][1]] if name in histories else found

    for index, domain in enumerate(arena):
        frame[3 * index] = memory[domain].ctypes.data + bases[domain]
        frame[3 * index + CAPACITY] = capacity[domain]
        rows = [shapes[n][0] for n in shapes if types[n].domain == domain]
        frame[3 * index + ROWS] = rows[0] if rows else 0
    frame[[HISTORY + ROWS, MAX_STEPS]] = steps, most
    frame[TARGET + ROWS] = max(frame[TARGET + ROWS], *(shapes[n][0] for n in histories), 0)
    workspace = np.empty(WORKSPACE_BYTES, np.uint8)
    frame[WORKSPACE] = workspace.ctypes.data
    for name, array in case.values.items():
        view(name)[...] = array

    code = np.zeros(CODE_WORDS, np.int64)
    code[0] = OPCODES[case.instruction.op]
    prepared = Prepared(case.tensors, types, {})
    tensors = prepared.of(case.instruction, plain=False)
    if isinstance(case.instruction, Linear):
        code[QUADS] = prepared.quads(case.instruction, plain=False)
        code[START_SHIFT] = start_shift(case.instruction, tensors["bias"])
    for place, role, content in case.instruction.operands():
        at = operands_at(type(case.instruction))[place]
        if role in ("value", "result") and content is not None:
            told = types[content]
            item = np.dtype(told.dtype).itemsize
            words = [DOMAINS.index(told.domain), prefix[content], told.width, item]
            code[at : at + 4] = words
        elif role == "constant":
            code[at] = 0 if content is None else content
        elif place in tensors:
            code[at : at + 2] = tensors[place].ctypes.data, len(tensors[place])
    call = np.zeros(word.CALL_WORDS, np.int64)
    call[word.MODE] = word.RUN
    call[word.FRAME] = frame.ctypes.data
    call[[word.CODE, word.CODE_ROWS]] = code.ctypes.data, 1
    machine()(call.ctypes.data)
    return {place: view(names[place]).copy() for place in names}


@st.composite
def integers(
    draw: st.DrawFn, dtype: str, shape: tuple[int, ...], low: int | None = None,
    high: int | None = None,
) -> Array:  # fmt: skip
    """Integers of a dtype: uniform, small, extreme, one constant, or all of these by rows."""
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
