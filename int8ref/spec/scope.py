"""The context in which an instruction is checked: values, tensors, and errors with a place."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

Domain = Literal["source", "target", "sentence", "history"]
"""The rows of a value:

source    the tokens of all source sentences, concatenated without padding
target    the hypotheses in a decoder step
sentence  the sentences
history   for each target row, one row for every step so far
"""
DType = Literal["int8", "int16", "int32"]
Tensors = dict[str, npt.NDArray[Any]]

MAX_WIDTH = 1 << 20
BLOCK = 1 << 20
"""Elements of a tensor that one copy takes."""


class ProgramError(ValueError):
    """A Program that cannot run; the message names the instruction and the reason."""


class ValueType(msgspec.Struct, frozen=True):
    """Type of a value: the domain of its rows, its dtype, and its width (0: one number for each
    row)."""

    domain: Domain
    dtype: DType
    width: int

    def __str__(self) -> str:
        return (
            f"{self.dtype}[{self.domain}, {self.width}]"
            if self.width
            else (f"{self.dtype}[{self.domain}]")
        )


class Facts:
    """The tensors of a Program that is checked, and known facts about their elements.

    Each tensor is read once, even if several instructions name it.
    """

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self._ranges: dict[str, tuple[int, int]] = {}
        self._row_sums: dict[str, int] = {}

    def range(self, name: str) -> tuple[int, int]:
        """The smallest and the largest element, as Python integers."""
        if name not in self._ranges:
            tensor = self.tensors[name]
            self._ranges[name] = int(tensor.min()), int(tensor.max())
        return self._ranges[name]

    def largest_magnitude(self, name: str) -> int:
        """max |x| as a Python integer, because -x of the most negative x does not fit in its
        dtype."""
        low, high = self.range(name)
        return max(-low, high)

    def largest_row_sum(self, name: str) -> int:
        """max_n sum_k |x[n, k]| of an int8 matrix."""
        if name not in self._row_sums:
            rows = self.tensors[name]
            step = max(1, BLOCK // rows.shape[1])
            blocks = (rows[at : at + step] for at in range(0, len(rows), step))
            sums = (np.abs(block.astype(np.int16)).sum(axis=1, dtype=np.int64) for block in blocks)
            self._row_sums[name] = max(int(found.max()) for found in sums)
        return self._row_sums[name]


class Scope:
    """The values and tensors that an instruction may use while a Program is checked."""

    def __init__(self, where: str, values: dict[str, ValueType], facts: Facts) -> None:
        self.where = where
        self.values = values
        self.facts = facts
        self.used: set[str] = set()

    def fail(self, message: str) -> ProgramError:
        """A ProgramError whose message begins with the place."""
        return ProgramError(f"{self.where}: {message}")

    def require(self, condition: bool, message: str) -> None:
        """Raise ProgramError unless `condition` holds."""
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

        A history fits only where `domain` is "history".
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

        Kernels use these numbers as indices and do not check them.  Therefore the numbers must be
        inputs, because the caller checks inputs.
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
        """Tensor `name`, after checks of its dtype, its shape (None: any size) and its elements."""
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

    def constant(self, name: str, x: int, low: int, high: int) -> None:
        """Check that a constant of the instruction lies in [low, high]."""
        self.require(low <= x <= high, f"{name} is {x}, outside [{low}, {high}]")

    def define(self, name: str, kind: ValueType) -> None:
        """Add a result.  Raises ProgramError if the name exists already."""
        self.require(name not in self.values, f"value {name!r} is defined twice")
        self.require(0 <= kind.width <= MAX_WIDTH, f"value {name!r} has width {kind.width}")
        self.values[name] = kind
