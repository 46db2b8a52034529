"""Declarations of operands: the kind, type, shape and range of each field of an instruction.

These parts of the project read the declarations:

    Instruction.check       the checks of a Program
    abi.frame               the layout of operands for native code
    machine.model.prepare   the tensors that are repeated for every channel
    machine.loop.marshal    the arguments of kernels
    docs/specification      the tables of operands, and the schema of a Program

A type hint declares a field, for example

    a: Annotated[str, Rows("int16")]
    shift: Annotated[str, Tensor("int8", (1,), 1, 62)]
    limit: Annotated[int, Constant(1, WIDE_MAX)]
    out: Annotated[str, Result("int16")]

A width or a length is a number or a named `Size`.  The first operand with a name sets the size of
this name.  Every other operand with the same name must agree.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar, get_args

import msgspec

from int8ref.spec.arithmetic import DATA_MAX
from int8ref.spec.scope import Domain, DType, Scope, ValueType

DOMAINS: tuple[Domain, ...] = get_args(Domain)
OFFSETS = "source.offsets"
"""The input with one number more than there are sentences."""


class Size:
    """A number that operands share: a name, or an expression of names.

    A name is the name of a width, `FIELD.width` of the value in a field, or an attribute of the
    instruction.  `of` computes the number; sizes with the same text are equal.
    """

    __slots__ = ("name", "of", "text")

    def __init__(self, text: str, of: Callable[[Sizes], int], name: str | None = None) -> None:
        self.text, self.of, self.name = text, of, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __sub__(self, other: Number) -> Size:
        return _term(self, "-", other, operator.sub)

    def __mul__(self, other: Number) -> Size:
        return _term(self, "*", other, operator.mul)

    def __floordiv__(self, other: Number) -> Size:
        return _term(self, "/", other, operator.floordiv)


Number = int | Size


def size(name: str) -> Size:
    """The size with this name."""
    return Size(name, lambda sizes: sizes.value(name), name)


def least(first: Number, second: Number) -> Size:
    """The smaller of two numbers."""
    text = f"min({_text(first)}, {_text(second)})"
    return Size(text, lambda sizes: min(sizes.of(first), sizes.of(second)))


def _term(left: Size, sign: str, right: Number, operation: Callable[[int, int], int]) -> Size:
    text = f"{left.text} {sign} {_text(right)}"
    return Size(text, lambda sizes: operation(left.of(sizes), sizes.of(right)))


def _text(number: Number) -> str:
    return number.text if isinstance(number, Size) else str(number)


class Sizes:
    """The known sizes of one instruction, and the domain of its rows."""

    def __init__(self, instruction: Any) -> None:
        self.instruction = instruction
        self.rows: Domain | None = None
        self._known: dict[str, int] = {}

    def value(self, name: str) -> int:
        """The size with this name, from an operand or from an attribute of the instruction."""
        found = self._known.get(name)
        return getattr(self.instruction, name) if found is None else found

    def of(self, number: Number) -> int:
        """The integer of a number or of a size."""
        return number.of(self) if isinstance(number, Size) else number

    def wanted(self, number: Number | None) -> int | None:
        """The integer that an operand must have; None for any, and for a size that is still
        open."""
        return None if number is None or self.is_open(number) else self.of(number)

    def is_open(self, number: Number | None) -> bool:
        """Whether `number` is a named size that no operand and no attribute has set."""
        if not isinstance(number, Size) or number.name is None:
            return False
        return number.name not in self._known and not hasattr(self.instruction, number.name)

    def bind(self, number: Number | None, found: int) -> None:
        """Set a size that is still open."""
        if isinstance(number, Size) and self.is_open(number):
            self._known[str(number.name)] = found

    def note(self, name: str, found: int) -> None:
        """Store a number under a name."""
        self._known[name] = found

    def domain(self, name: str) -> Domain | None:
        """A domain by its own name, by "rows" for the domain of the rows, or by the name of an
        attribute."""
        if name == "rows":
            return self.rows
        found: Domain = name if name in DOMAINS else getattr(self.instruction, name)
        return found


WIDTH = size("width")


def narrow(limit: int) -> DType:
    """The narrowest type for values from -limit to limit: int8 up to 127, else int16."""
    return "int8" if limit <= DATA_MAX else "int16"


class Operand(msgspec.Struct, frozen=True):
    """The declaration of an operand; `kind` is value, result, tensor or constant."""

    kind: ClassVar[str]

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        """Check the content of a field, and set the sizes that it determines.  Raises
        ProgramError."""
        raise NotImplementedError


class Rows(Operand, frozen=True):
    """A value [rows, width], or [rows] where its width is 0, with one of the `dtypes`.

    All operands of an instruction whose `domain` is "rows" share one domain.
    """

    kind = "value"
    dtypes: str
    width: Number | None = WIDTH
    domain: str = "rows"

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        wanted = sizes.wanted(self.width)
        found = scope.value(content, self.dtypes, wanted, sizes.domain(self.domain))
        if sizes.is_open(self.width):
            scope.require(found.width > 0, f"value {content!r} has no width")
            sizes.bind(self.width, found.width)
        if self.domain == "rows" and sizes.rows is None:
            sizes.rows = found.domain
        sizes.note(f"{field}.width", found.width)


class Input(Operand, frozen=True):
    """An input of the sequence, int32 [rows]: `ids`, `positions` or `sentence` of the rows.

    Kernels use these numbers as indices and do not check them.  Therefore the numbers must be
    inputs, because the caller checks inputs.
    """

    kind = "value"
    input: str

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        found = scope.input(content, self.input)
        if sizes.rows is None:
            sizes.rows = found.domain
        scope.require(
            found.domain == sizes.rows, f"{field} is of {found.domain} rows, not {sizes.rows} rows"
        )


class Offsets(Operand, frozen=True):
    """The input `source.offsets`, int32 [sentences + 1]: the first row of each sentence.

    Kernels use these numbers as indices and do not check them.  Therefore no computed value can
    replace this input.
    """

    kind = "value"

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        scope.value(content, "int32", 0, "sentence")
        scope.require(content == OFFSETS, f"value {content!r} is not {OFFSETS}")


class Tensor(Operand, frozen=True):
    """A tensor of the model file, with one of the `dtypes` and elements from `low` to `high`.

    A None in `shape` stands for any size.
    """

    kind = "tensor"
    dtypes: str
    shape: tuple[Number | None, ...]
    low: int | None = None
    high: int | None = None

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        wanted = tuple(sizes.wanted(number) for number in self.shape)
        found = scope.tensor(content, self.dtypes, wanted, self.low, self.high)
        for number, length in zip(self.shape, found.shape, strict=True):
            sizes.bind(number, length)


class PerChannel(Operand, frozen=True):
    """A tensor with one element for all channels, [1], or one element for each channel, [width].

    A kernel receives [width].
    """

    kind = "tensor"
    dtypes: str
    low: int
    high: int
    width: Number = WIDTH

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        found, width = scope.tensor(content, self.dtypes, (None,), self.low, self.high), self.width
        told = f"tensor {content!r} has {len(found)} elements, not {sizes.of(width)}"
        scope.require(len(found) in (1, sizes.of(width)), told)


class Constant(Operand, frozen=True):
    """An integer of the instruction itself, from `low` to `high`."""

    kind = "constant"
    low: Number
    high: Number

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        scope.constant(field, content, sizes.of(self.low), sizes.of(self.high))


class Result(Operand, frozen=True):
    """A value that the instruction computes: [rows, width], or [rows] where its width is 0.

    `dtypes` is one type, or several types from which `chosen` selects for an instruction.  `like`
    is the field of a tensor that has the type of the result.
    """

    kind = "result"
    dtypes: str
    width: Number = WIDTH
    domain: str = "rows"
    chosen: Callable[[Any], DType] | None = None
    like: str = ""

    def check(self, scope: Scope, sizes: Sizes, field: str, content: Any) -> None:
        if self.like:
            tensor = scope.facts.tensors[getattr(sizes.instruction, self.like)]
            dtype = tensor.dtype.name
        else:
            dtype = self.chosen(sizes.instruction) if self.chosen else self.dtypes
        domain = sizes.domain(self.domain)
        assert domain is not None
        scope.define(content, ValueType(domain, dtype, sizes.of(self.width)))  # type: ignore[arg-type]


def limited(width: Number = WIDTH) -> Result:
    """A result in [-limit, limit], for the constant `limit`, in the narrowest type."""
    return Result("int8 int16", width, chosen=lambda instruction: narrow(instruction.limit))
