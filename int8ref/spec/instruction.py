"""The form of an instruction: a typed record that names values, tensors and constants.

An operation is one file in `int8ref/reference/`.  The file holds the instruction (a class) and its
meaning (a function).  The name of the function is the name of the class in snake case.  The
parameters of the function are the fields of the instruction, except the results.  `spec.operands`
declares the fields.  There are four kinds of fields:

    value     a tensor that an earlier instruction computed, or an input of the sequence
    result    the name of a value that this instruction computes
    tensor    a constant tensor of the model file
    constant  an integer of the instruction itself

Each value has a *domain*, which says what its rows are (`scope.Domain`).  Attention mixes rows, but
only rows of one sentence or of one row's own history.  No other operation mixes rows.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, ClassVar, get_type_hints

import msgspec

from int8ref.spec.operands import Operand, Sizes
from int8ref.spec.scope import Scope, Tensors, ValueType


@cache
def snake_case(name: str) -> str:
    """LayerNormL2 -> layer_norm_l2."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


Declared = tuple[tuple[str, Operand], ...]
"""(field, declaration) of each field."""


class Instruction(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag=snake_case,
):
    """Base class of all instructions.  A subclass declares fields, and `prove` checks their
    relations.

    `in_place` says that a result may be written over an operand.  The kernel of such an instruction
    reads each element for the last time before it writes the same element of the result.
    `runs_as`: the operation whose native function runs the instruction, if not its own.
    """

    in_place: ClassVar[bool] = False
    runs_as: ClassVar[str] = ""

    def check(self, scope: Scope) -> None:
        """Check the operands against `scope`, and define the results there.  Raises
        ProgramError."""
        sizes = Sizes(self)
        operands, results = _in_order_of_checks(type(self))
        self._check(operands, scope, sizes)
        self.prove(scope, sizes)
        self._check(results, scope, sizes)

    def _check(self, declared: Declared, scope: Scope, sizes: Sizes) -> None:
        for field, operand in declared:
            content = getattr(self, field)
            if content is not None and content is not msgspec.UNSET:
                operand.check(scope, sizes, field, content)

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        """Check relations between operands, such as that no sum overflows.  Raises ProgramError."""

    def work(self, values: dict[str, ValueType], tensors: Tensors, keys: int) -> int:
        """Upper bound of the multiply-adds, or equally cheap steps, for one row.

        A row of an attention sees at most `keys` keys.  The instruction must have passed `check`.
        """
        return sum(max(values[name].width, 1) for name in self.names("result"))

    @property
    def op(self) -> str:
        """Name of the operation, which is also the name of its files in `reference/` and
        `kernels/`."""
        return snake_case(type(self).__name__)

    def operands(self) -> list[tuple[str, str, Any]]:
        """(field, kind, content) of every field in order.

        `kind` is value, result, tensor or constant.  The content of an absent optional operand is
        None.
        """
        contents = ((name, kind, getattr(self, name)) for name, kind in field_kinds(type(self)))
        return [(name, kind, None if c is msgspec.UNSET else c) for name, kind, c in contents]

    def names(self, kind: str) -> list[str]:
        """The names in the fields of one kind, in field order."""
        return [c for _, k, c in self.operands() if k == kind and c is not None]


@cache
def _in_order_of_checks(cls: type[Instruction]) -> tuple[Declared, Declared]:
    """The operands in the order of their checks, and the results.

    The order is values, constants, tensors, because a check may use sizes of earlier operands.
    """
    declared = operands_of(cls)
    of_kind = {
        kind: tuple((field, operand) for field, operand in declared if operand.kind == kind)
        for kind in ("value", "constant", "tensor", "result")
    }
    return (*of_kind["value"], *of_kind["constant"], *of_kind["tensor"]), of_kind["result"]


@cache
def operands_of(cls: type[Instruction]) -> Declared:
    """(field, declaration) of an instruction class, in declaration order."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple((name, _declared(hints[name])) for name in cls.__struct_fields__)


@cache
def field_kinds(cls: type[Instruction]) -> tuple[tuple[str, str], ...]:
    """(field, kind) of an instruction class, in declaration order."""
    return tuple((name, operand.kind) for name, operand in operands_of(cls))


def _declared(hint: Any) -> Operand:
    for part in (hint, *getattr(hint, "__args__", ())):
        for declaration in getattr(part, "__metadata__", ()):
            if isinstance(declaration, Operand):
                return declaration
    raise TypeError(f"{hint} declares no operand")
