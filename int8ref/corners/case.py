"""A corner case of an operation: an instruction with all its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.engines.reference import run_instruction
from int8ref.golden.vectors import Names, Vectors
from int8ref.reference import instructions
from int8ref.spec.instruction import Instruction, operands_of
from int8ref.spec.operands import DOMAINS, OFFSETS, Input, Offsets, Operand
from int8ref.spec.scope import Domain, Facts, Scope, Tensors, ValueType

Array = npt.NDArray[Any]
Numbers = Sequence[Any] | Array
INT8, INT16, INT32 = ((-(2**bits), 2**bits - 1) for bits in (7, 15, 31))
"""The least and the largest number of each type."""


@dataclass(frozen=True)
class Case:
    """A valid instruction with values and tensors by name.

    `name` is unique among the cases of the operation.  `reason` is the fault that the case is for.
    """

    name: str
    reason: str
    instruction: Instruction
    values: dict[str, Array]
    tensors: Tensors
    domains: dict[str, Domain]

    def types(self) -> dict[str, ValueType]:
        """Return the types of the values by name."""
        return {
            name: ValueType(
                self.domains[name],
                array.dtype.name,  # type: ignore[arg-type]
                array.shape[-1] if array.ndim > 1 else 0,
            )
            for name, array in self.values.items()
        }

    def check(self) -> None:
        """Raise `ProgramError` if the instruction is not valid."""
        self.instruction.check(Scope(self.name, self.types(), Facts(self.tensors)))

    def results(self) -> dict[str, Array]:
        """Return the results by name."""
        return run_instruction(self.instruction, self.values, self.tensors)

    def record(self, vectors: Vectors, intermediates: bool) -> None:
        """Compute the case, and add it to vectors."""
        self.check()
        values = self.values | self.results()
        folder = f"corners/{self.instruction.op}/{self.name}"
        places = {name: f"{folder}/{name}" for name in values}
        inside = f"{folder}/intermediates" if intermediates else None
        names = Names(places, f"{folder}/tensors", inside)
        told = {"name": self.name, "reason": self.reason}
        case = {"sequence": "corner", "step": None, "case": told}
        vectors.add(self.instruction, case, values, self.tensors, names)


def case(op: str, name: str, reason: str, **fields: Any) -> Case:
    """Return a case.

    `fields`: an integer for a constant, and numbers or an array for a value or a tensor.  Numbers
    become an array of the first type that the operand may have.  None, or no field, means that an
    operand is absent, or that the default of a constant applies.  All results are computed, except
    one that is None.  The field `domain` is the domain of the rows; the default is the target.
    """
    cls = instructions()[op]
    content: dict[str, Any] = {}
    values: dict[str, Array] = {}
    tensors: Tensors = {}
    domains: dict[str, Domain] = {}
    rows: Domain = fields.pop("domain", "target")
    history = "sentence" not in fields and "key" in fields
    for field, operand in operands_of(cls):
        given = fields.pop(field, None if operand.kind != "result" else field)
        if given is None and operand.kind != "result":
            continue
        if operand.kind in ("constant", "result"):
            content[field] = given
        elif operand.kind == "tensor":
            content[field], tensors[field] = field, _array(operand, given)
        else:
            found = _domain(operand, rows, history)
            content[field] = _value_name(field, operand, found)
            values[content[field]], domains[content[field]] = _array(operand, given), found
    if fields:
        raise TypeError(f"{op} has no {sorted(fields)}")
    return Case(name, reason, cls(**content), values, tensors, domains)


def _domain(operand: Operand, rows: Domain, history: bool) -> Domain:
    """Return the domain of a value."""
    if isinstance(operand, Offsets):
        return "sentence"
    named: str = getattr(operand, "domain", "rows")
    chosen: dict[str, Domain] = {
        **{known: known for known in DOMAINS},
        "keys_of": "history" if history else "source",
        "rows": rows,
    }
    return chosen[named]


def _value_name(field: str, operand: Operand, domain: Domain) -> str:
    """Return the name of a value: inputs of a sequence have names that are fixed."""
    if isinstance(operand, Offsets):
        return OFFSETS
    return f"{domain}.{operand.input}" if isinstance(operand, Input) else field


def _array(operand: Operand, given: Numbers) -> Array:
    if isinstance(given, np.ndarray):
        return given
    first = "int32" if isinstance(operand, Input | Offsets) else operand.dtypes.split()[0]  # type: ignore[attr-defined]
    return np.array(given, first)


def spread(dtype: str, shape: tuple[int, ...], low: int, high: int, start: int = 0) -> Array:
    """Return numbers that differ: with n = start + i and s = high - low + 1, element i is
    low + (7919 n + floor(n^2 / 31)) mod s.

    The square makes rows, heads and tables differ, whatever their width is.
    """
    count = int(np.prod(shape, dtype=np.int64))
    n = start + np.arange(count, dtype=np.int64)
    steps = 7919 * n + n * n // 31
    return (low + steps % (high - low + 1)).reshape(shape).astype(dtype)


def full(dtype: str, shape: tuple[int, ...], number: int) -> Array:
    """Return equal numbers."""
    return np.full(shape, number, dtype)
