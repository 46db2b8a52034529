"""The conversion of an instruction's operands to the arguments of its kernel: `step(frame, code)`.

A kernel has a parameter for each field of its instruction.  The declaration of the field decides
the argument (`spec.operands`):

    a value or a result   an array [rows, width], or [rows] where its width is 0
    the offsets           an array [sentences + 1]
    a tensor              an array of its shape; `PerChannel`: one element for each channel
    a constant            int64
    an absent value       None; an absent result is an array that must not be written

A parameter that is not a field receives the result of the function with its name, called with
(frame, code).  This function is in the kernel's module or in `kernels.views`.  An example is
`workspace`, the address of the scratch memory.

If an operand may have several types, or may be absent, `step` branches over the variants.  The
variants are all combinations, or the list VARIANTS of the kernel's module, with the most special
variant first.  The module of an operation with special operands defines `step` itself, and needs no
kernel of this form.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, LENGTH, WIDTH, operand_places
from int8ref.abi.opcodes import INSTRUCTIONS
from int8ref.kernels import views
from int8ref.spec.instruction import Instruction, operands_of
from int8ref.spec.operands import (
    Constant,
    Input,
    Number,
    Offsets,
    Operand,
    PerChannel,
    Result,
    Rows,
    Size,
    Tensor,
)

Variant = dict[str, str | None]
"""The type of each operand with several types; None for an absent operand."""


def step_of(op: str) -> Callable[[int, int], None]:
    """The function that runs the instruction at an address of code, on the values of a frame."""
    module = importlib.import_module(f"int8ref.kernels.{op}")
    own = getattr(module, "step", None)
    step = own or _compiled(op, module)
    return getattr(step, "py_func", step)


def _compiled(op: str, module: ModuleType) -> Callable[[int, int], None]:
    names = {**vars(views), **vars(module), "np": np, "kernel": getattr(module, op)}
    exec(source(op, module), names)  # the text comes from declarations only
    step: Callable[[int, int], None] = names["step"]
    return step


def source(op: str, module: ModuleType) -> str:
    """The Python text of `step`."""
    kernel = getattr(module, op)
    parameters = list(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)
    marshal = _Marshal(INSTRUCTIONS[op])
    variants = getattr(module, "VARIANTS", None) or list(marshal.variants(parameters))
    lines = ["def step(frame, code):"]
    for number, variant in enumerate(variants):
        call = f"kernel({', '.join(marshal.argument(name, variant) for name in parameters)})"
        last = number == len(variants) - 1
        if len(variants) > 1:
            lines.append(f"    {marshal.condition(variant, last, number == 0)}")
        lines.append(f"{'        ' if len(variants) > 1 else '    '}{call}")
    return "\n".join(lines)


class _Marshal:
    """The expressions for the operands of one instruction class."""

    def __init__(self, cls: type[Instruction]) -> None:
        self._operands: dict[str, Operand] = dict(operands_of(cls))
        self._at = operand_places(cls)

    def variants(self, parameters: Sequence[str]) -> Iterator[Variant]:
        """All combinations of types.  A result with `like` has the type of the other operand."""
        several = {
            name: operand.dtypes.split()
            for name, operand in self._operands.items()
            if name in parameters
            and isinstance(operand, Rows | Tensor | Result)
            and " " in operand.dtypes
        }
        like = {
            name: operand.like
            for name, operand in self._operands.items()
            if isinstance(operand, Result) and operand.like
        }
        free = [name for name in several if name not in like.values()]
        for types in itertools.product(*(several[name] for name in free)):
            variant: Variant = dict(zip(free, types, strict=True))
            yield variant | {other: variant[name] for name, other in like.items()}

    def condition(self, variant: Variant, last: bool, first: bool) -> str:
        """The head of a branch."""
        if last:
            return "else:"
        tests = [
            f"word(code, {self._at[name] + ITEM}) == {np.dtype(dtype).itemsize if dtype else 0}"
            for name, dtype in variant.items()
            if isinstance(self._operands[name], Rows | Result)
        ]
        return f"{'if' if first else 'elif'} {' and '.join(tests)}:"

    def argument(self, name: str, variant: Variant) -> str:
        """The expression for a parameter of the kernel."""
        if name not in self._operands:
            return f"{name}(frame, code)"
        operand, at = self._operands[name], self._at[name]
        if name in variant and variant[name] is None:
            return "None"
        if isinstance(operand, Offsets):
            return f"offsets_at(frame, code, {at})"
        if isinstance(operand, Constant):
            return f"word(code, {at})"
        dtype = f"np.{variant.get(name) or getattr(operand, 'dtypes', 'int32')}"
        if isinstance(operand, Rows | Result):
            view = "column" if operand.width == 0 else "matrix"
            return f"{view}(frame, code, {at}, {dtype})"
        if isinstance(operand, Input):
            return f"column(frame, code, {at}, {dtype})"
        assert isinstance(operand, Tensor | PerChannel)
        shape = (operand.width,) if isinstance(operand, PerChannel) else operand.shape
        lengths = [f"word(code, {at + LENGTH})", *(self._length(n) for n in shape[1:])]
        if shape[0] is not None and not self._is_own(shape[0]):
            lengths[0] = self._length(shape[0])
        sizes = ", ".join(f"np.int64({length})" for length in lengths)
        return f"array(word(code, {at + ADDRESS}), ({sizes},), {dtype})"

    def _length(self, number: Number | None) -> str:
        """A length: a number, a constant of the instruction, or the width of a value."""
        if isinstance(number, Size) and number.name in self._at:
            return f"word(code, {self._at[number.name]})"
        if isinstance(number, Size):
            return f"word(code, {self._widths()[number] + WIDTH})"
        assert number is not None, "only the first length of a tensor is in its operand"
        return str(number)

    def _is_own(self, number: Number) -> bool:
        """Whether only tensors have this length, so that the length is in their operands."""
        named = isinstance(number, Size) and number.name in self._at
        return isinstance(number, Size) and not named and number not in self._widths()

    def _widths(self) -> dict[Number, int]:
        """Width -> first word of a value operand with this width."""
        return {
            operand.width: self._at[name]
            for name, operand in reversed(self._operands.items())
            if isinstance(operand, Rows | Result) and operand.width is not None
        }
