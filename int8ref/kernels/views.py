"""The memory of a call as words, records and arrays; `frame` and `code` are addresses of words.

Most functions here are leaves (`kernels.ir.lowering`).  A leaf has a Python body, which defines it
and runs where nothing is compiled, and a twin in IR.
"""

# mypy: disable-error-code="no-untyped-call, untyped-decorator"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array
from numpy.typing import DTypeLike, NDArray

from int8ref.abi.frame import (
    BASE,
    CAPACITY,
    DOMAIN,
    DOMAIN_WORDS,
    FIRST,
    FRAME,
    ITEM,
    PREFIX,
    ROWS,
    WIDTH,
)
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I64, lowers, view

Extent = tuple[ir.Value, Sequence[ir.Value]]
"""Address and sizes."""


def word(address: int, index: int) -> int:
    """The int64 word number `index` at an address."""
    return int(view(address + 8 * index, np.int64, (1,))[0])


@lowers(word)
def _word_ir(builder: ir.IRBuilder, address: ir.Value, index: ir.Value) -> ir.Value:
    words = builder.inttoptr(address, I64.as_pointer())
    return builder.load(builder.gep(words, [index]))


def address_of(frame: int, code: int, at: int) -> int:
    """Address of the value operand at word `at` of `code`: of the first row of the frame."""
    domain = DOMAIN_WORDS * word(code, at + DOMAIN)
    before = word(frame, domain + FIRST) * max(word(code, at + WIDTH), 1) * word(code, at + ITEM)
    prefix = word(code, at + PREFIX) * word(frame, domain + CAPACITY)
    return word(frame, domain + BASE) + prefix + before


@lowers(address_of)
def _address_of_ir(
    builder: ir.IRBuilder, frame: ir.Value, code: ir.Value, at: ir.Value
) -> ir.Value:
    return _Value(builder, frame, code, at).address


def rows_of(frame: int, code: int, at: int) -> int:
    """Rows of the value operand at word `at` of `code`."""
    return word(frame, DOMAIN_WORDS * word(code, at + DOMAIN) + ROWS)


@lowers(rows_of)
def _rows_of_ir(builder: ir.IRBuilder, frame: ir.Value, code: ir.Value, at: ir.Value) -> ir.Value:
    return _Value(builder, frame, code, at).rows


class _Value:
    """A value operand: `address`, `rows`, `width`."""

    def __init__(
        self, builder: ir.IRBuilder, frame: ir.Value, code: ir.Value, at: ir.Value
    ) -> None:
        def load(base: ir.Value, index: ir.Value, offset: int) -> ir.Value:
            return _word_ir(builder, base, builder.add(index, I64(offset)))

        domain = builder.mul(load(code, at, DOMAIN), I64(DOMAIN_WORDS))
        prefix = builder.mul(load(code, at, PREFIX), load(frame, domain, CAPACITY))
        self.rows = load(frame, domain, ROWS)
        self.width = load(code, at, WIDTH)
        alone = builder.icmp_signed("<", self.width, I64(1))
        size = builder.mul(builder.select(alone, I64(1), self.width), load(code, at, ITEM))
        before = builder.mul(load(frame, domain, FIRST), size)
        first = builder.add(load(frame, domain, BASE), prefix)
        self.address = builder.add(first, before)


def matrix(frame: int, code: int, at: int, dtype: DTypeLike) -> NDArray[Any]:
    """A value as an array [rows, width]."""
    shape = rows_of(frame, code, at), word(code, at + WIDTH)
    return view(address_of(frame, code, at), dtype, shape)


def column(frame: int, code: int, at: int, dtype: DTypeLike) -> NDArray[Any]:
    """A value of width 0 as an array [rows]."""
    return view(address_of(frame, code, at), dtype, (rows_of(frame, code, at),))


def array(address: Any, shape: tuple[Any, ...], dtype: DTypeLike) -> NDArray[Any]:
    """The memory at an address as a C-contiguous array; `shape` is a tuple of int64."""
    return view(address, dtype, shape)


def _lowers_operand(
    leaf: Callable[..., Any], dimensions: int, extent: Callable[[_Value], Extent]
) -> None:
    """Attach the twin of a leaf that returns a value operand as an array."""

    @type_callable(leaf)
    def typing(context: Any) -> Any:
        def typer(frame: Any, code: Any, at: Any, dtype: Any) -> Any:
            kind = types.Array(dtype.dtype, dimensions, "C")
            return signature(kind, types.int64, types.int64, types.int64, dtype)

        return typer

    @lower_builtin(leaf, types.int64, types.int64, types.int64, types.Any)
    def lowering(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        value = _Value(builder, *args[:3])
        return _array(context, builder, sig.return_type, *extent(value))


_lowers_operand(matrix, 2, lambda value: (value.address, [value.rows, value.width]))
_lowers_operand(column, 1, lambda value: (value.address, [value.rows]))


@type_callable(array)
def _type_array(context: Any) -> Any:
    def typer(address: Any, shape: Any, dtype: Any) -> Any:
        kind = types.Array(dtype.dtype, len(shape), "C")
        return signature(kind, types.int64, types.UniTuple(types.int64, len(shape)), dtype)

    return typer


@lower_builtin(array, types.int64, types.UniTuple, types.Any)
def _lower_array(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
    kind = sig.return_type
    sizes = [builder.extract_value(args[1], d) for d in range(kind.ndim)]
    return _array(context, builder, kind, args[0], sizes)


def _array(
    context: Any, builder: ir.IRBuilder, kind: Any, address: ir.Value, sizes: Sequence[ir.Value]
) -> ir.Value:
    item = I64(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [item]
    for size in sizes[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    found = make_array(kind)(context, builder)
    data = builder.inttoptr(address, found.data.type)
    populate_array(found, data, list(sizes), strides, item, meminfo=None)
    return found._getvalue()


def record_at(dtype: np.dtype[Any]) -> Callable[[Any], Any]:
    """A leaf that returns the record at an address; code reads and writes its fields by name."""

    def found(address: Any) -> Any:
        return view(address, dtype, (1,))[0]

    kind = from_dtype(dtype)

    @type_callable(found)
    def typing(context: Any) -> Any:
        def typer(address: Any) -> Any:
            return signature(kind, types.int64)

        return typer

    @lower_builtin(found, types.int64)
    def lowering(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return found


frame_at = record_at(FRAME)
"""The frame as a record (`abi.frame.FRAME`)."""


@kernel
def offsets_at(frame, code, at):
    """The input `source.offsets` as an array, int32 [sentences + 1]."""
    return array(address_of(frame, code, at), (rows_of(frame, code, at) + np.int64(1),), np.int32)


@kernel
def workspace(frame, code):
    """Address of the scratch memory."""
    return frame_at(frame).workspace
