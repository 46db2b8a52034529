"""What an instruction of a Program is: a typed record that names values, tensors and constants.

An operation is one file in `int8ref/reference/`: its instruction (the class) and its meaning (the
function of the same name in snake case, whose parameters are the instruction's fields).  Kinds of
fields:

    Value   a tensor that an earlier instruction computed, or an input of the sequence
    Result  the name under which the instruction's own result is kept
    Tensor  a constant tensor of the model file
    int     a constant of the instruction itself

Values live in a *domain*, which says what their rows are: `source` (the tokens of a batch of
sentences, concatenated without padding), `target` (one row a hypothesis in a decoder step),
`sentence`, or `history`: for each target row, one row for every step so far.  Nothing mixes rows
except attention, and that only within a sentence or within a row's own history.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import WIDE_MAX

Value = Annotated[str, "value"]
Result = Annotated[str, "result"]
Tensor = Annotated[str, "tensor"]

Domain = Literal["source", "target", "sentence", "history"]
DType = Literal["int8", "int16", "int32"]
Tensors = dict[str, npt.NDArray[Any]]

MAX_WIDTH = 1 << 20
BLOCK = 1 << 20
"""Elements of a tensor that are copied at once."""


class ProgramError(ValueError):
    """A Program that cannot be run as it stands: the message says which instruction and why."""


class ValueType(msgspec.Struct, frozen=True):
    """Type of a value: the domain of its rows, its dtype, and its width (0: one number a row)."""

    domain: Domain
    dtype: DType
    width: int

    def __str__(self) -> str:
        return (
            f"{self.dtype}[{self.domain}, {self.width}]"
            if self.width
            else (f"{self.dtype}[{self.domain}]")
        )


@cache
def snake_case(name: str) -> str:
    """LayerNormL2 -> layer_norm_l2."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Instruction(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="op",
    tag=snake_case,
):
    """Base of all instructions; subclasses declare fields and `check`.

    `in_place` says that every element of a result may take the place of the same element of an
    operand: the kernel reads each element for the last time before it writes there.
    """

    in_place: ClassVar[bool] = False

    def check(self, scope: Scope) -> None:
        """Check operands against `scope` and define the results there; raises ProgramError."""
        raise NotImplementedError

    def work(self, values: dict[str, ValueType], tensors: Tensors) -> int:
        """Multiply-adds, or steps as cheap, that a row takes at most; of a checked instruction."""
        return sum(max(values[name].width, 1) for name in self.names("result"))

    @property
    def op(self) -> str:
        """Name of the operation: its file in `reference/` and in `kernels/`."""
        return snake_case(type(self).__name__)

    def operands(self) -> list[tuple[str, str, Any]]:
        """(field, kind, content) of every field in order; kind: value, result, tensor or constant.

        Optional operands that are absent have the content None.
        """
        contents = ((name, kind, getattr(self, name)) for name, kind in field_kinds(type(self)))
        return [(name, kind, None if c is msgspec.UNSET else c) for name, kind, c in contents]

    def names(self, kind: str) -> list[str]:
        """What the instruction names of one kind, in field order."""
        return [c for _, k, c in self.operands() if k == kind and c is not None]


_KINDS: dict[type, list[tuple[str, str]]] = {}


def field_kinds(cls: type[Instruction]) -> list[tuple[str, str]]:
    """(field, kind) of an instruction class, in declaration order."""
    if cls not in _KINDS:
        hints = get_type_hints(cls, include_extras=True)
        _KINDS[cls] = [(name, _kind(hints[name])) for name in cls.__struct_fields__]
    return _KINDS[cls]


def _kind(hint: Any) -> str:
    for part in (hint, *getattr(hint, "__args__", ())):
        metadata = getattr(part, "__metadata__", ())
        if metadata:
            return str(metadata[0])
    return "constant"


class Facts:
    """The tensors of a Program while it is checked, and what is known of their elements.

    Each tensor is looked through once, however many instructions name it.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self._ranges: dict[str, tuple[int, int]] = {}
        self._row_sums: dict[str, int] = {}

    def range(self, name: str) -> tuple[int, int]:
        """The least and the largest element, as Python integers."""
        if name not in self._ranges:
            tensor = self.tensors[name]
            self._ranges[name] = int(tensor.min()), int(tensor.max())
        return self._ranges[name]

    def largest_magnitude(self, name: str) -> int:
        """max |x| as a Python integer: exact for the most negative number too."""
        low, high = self.range(name)
        return max(-low, high)

    def largest_row_sum(self, name: str) -> int:
        """max_n sum_k |x[n, k]| of a matrix of int8."""
        if name not in self._row_sums:
            rows = self.tensors[name]
            step = max(1, BLOCK // rows.shape[1])
            blocks = (rows[at : at + step] for at in range(0, len(rows), step))
            sums = (np.abs(block.astype(np.int16)).sum(axis=1, dtype=np.int64) for block in blocks)
            self._row_sums[name] = max(int(found.max()) for found in sums)
        return self._row_sums[name]


class Scope:
    """What an instruction may refer to while a Program is checked: values so far, and tensors."""

    def __init__(self, where: str, values: dict[str, ValueType], facts: Facts) -> None:
        self.where = where
        self.values = values
        self.facts = facts
        self.used: set[str] = set()

    def fail(self, message: str) -> ProgramError:
        """A ProgramError that says where."""
        return ProgramError(f"{self.where}: {message}")

    def require(self, condition: bool, message: str) -> None:
        """Raise unless `condition`."""
        if not condition:
            raise self.fail(message)

    def value(
        self,
        name: str,
        dtypes: str,
        width: int | None = None,
        domain: Domain | None = None,
    ) -> ValueType:
        """The type of value `name`, which must exist and fit; `dtypes` is like "int8 int32".

        A history is only for instructions that ask for that domain.
        """
        if name not in self.values:
            raise self.fail(f"value {name!r} is not defined before its use")
        found = self.values[name]
        self.require(found.dtype in dtypes.split(), f"value {name!r} is {found}, not {dtypes}")
        if width is not None:
            self.require(found.width == width, f"value {name!r} is {found}, not of width {width}")
        if domain is None:
            self.require(found.domain != "history", f"value {name!r} is {found}, a history")
        else:
            self.require(
                found.domain == domain, f"value {name!r} is {found}, not of domain {domain}"
            )
        return found

    def input(self, name: str, kind: str) -> ValueType:
        """The type of value `name`, which must be the input `kind` of a domain: ids, positions, ...

        What is used as an index must come from the caller, who checks it: kernels do not.
        """
        found = self.value(name, "int32", 0)
        wanted = f"{found.domain}.{kind}"
        self.require(name == wanted, f"value {name!r} is not {wanted}")
        return found

    def tensor(
        self,
        name: str,
        dtypes: str,
        shape: tuple[int | None, ...],
        low: int | None = None,
        high: int | None = None,
    ) -> npt.NDArray[Any]:
        """Tensor `name`, checked for dtype, shape (None: any size) and range of its elements."""
        if name not in self.facts.tensors:
            raise self.fail(f"tensor {name!r} is missing")
        self.used.add(name)
        found = self.facts.tensors[name]
        told = f"tensor {name!r} is {found.dtype}{list(found.shape)}"
        self.require(found.dtype.name in dtypes.split(), f"{told}, not {dtypes}")
        fits = len(shape) == found.ndim and all(
            want is None or want == have for want, have in zip(shape, found.shape, strict=True)
        )
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        self.require(fits and found.size > 0, f"{told}, wanted [{wanted}]")
        if low is not None:
            least, _ = self.facts.range(name)
            self.require(least >= low, f"{told} holds {least}, below {low}")
        if high is not None:
            _, most = self.facts.range(name)
            self.require(most <= high, f"{told} holds {most}, above {high}")
        return found

    def factors(self, multiplier: str, shift: str, width: int, low: int, high: int) -> None:
        """Check the factors multiplier[n] * 2^-shift of so many channels: multipliers int16 in
        [0, 2^15), [1] or [width], and one shift for all, int8 [1] in [low, high]."""
        found = self.tensor(multiplier, "int16", (None,), 0, WIDE_MAX)
        told = f"tensor {multiplier!r} has {len(found)} elements, not {width}"
        self.require(len(found) in (1, width), told)
        self.tensor(shift, "int8", (1,), low, high)

    def constant(self, name: str, x: int, low: int, high: int) -> None:
        """Check a constant of the instruction."""
        self.require(low <= x <= high, f"{name} is {x}, outside [{low}, {high}]")

    def define(self, name: str, kind: ValueType) -> None:
        """Add a result; every name is defined once."""
        self.require(name not in self.values, f"value {name!r} is defined twice")
        self.require(0 <= kind.width <= MAX_WIDTH, f"value {name!r} has width {kind.width}")
        self.values[name] = kind
