"""Operands of code as arrays, inside compiled code only.  `frame`, `code`: addresses of words."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from int8ref.abi.frame import BASE, CAPACITY, DOMAIN, PREFIX, ROWS, WIDTH

I64 = ir.IntType(64)


@intrinsic
def word(typing_context, address, index):
    """The int64 word number `index` at an address."""

    def codegen(context, builder, signature, arguments):
        words = builder.inttoptr(arguments[0], I64.as_pointer())
        return builder.load(builder.gep(words, [arguments[1]]))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def set_word(typing_context, address, index, content):
    """Write the int64 word number `index` at an address."""

    def codegen(context, builder, signature, arguments):
        words = builder.inttoptr(arguments[0], I64.as_pointer())
        builder.store(arguments[2], builder.gep(words, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def address_of(typing_context, frame, code, at):
    """Address of the value operand at word `at` of `code`."""

    def codegen(context, builder, signature, arguments):
        return _Value(builder, *arguments).address

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def rows_of(typing_context, frame, code, at):
    """Rows of the value operand at word `at` of `code`."""

    def codegen(context, builder, signature, arguments):
        return _Value(builder, *arguments).rows

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def matrix(typing_context, frame, code, at, dtype):
    """A value as an array [rows, width]."""
    kind = types.Array(dtype.dtype, 2, "C")

    def codegen(context, builder, signature, arguments):
        value = _Value(builder, *arguments[:3])
        return _array(context, builder, kind, value.address, [value.rows, value.width])

    return kind(types.int64, types.int64, types.int64, dtype), codegen


@intrinsic
def column(typing_context, frame, code, at):
    """A value of width 0 as an int32 array [rows]."""
    kind = types.Array(types.int32, 1, "C")

    def codegen(context, builder, signature, arguments):
        value = _Value(builder, *arguments)
        return _array(context, builder, kind, value.address, [value.rows])

    return kind(types.int64, types.int64, types.int64), codegen


@intrinsic
def array(typing_context, address, shape, dtype):
    """The memory at an address as a C-contiguous array; `shape` is a tuple of int64."""
    kind = types.Array(dtype.dtype, len(shape), "C")

    def codegen(context, builder, signature, arguments):
        sizes = [builder.extract_value(arguments[1], d) for d in range(kind.ndim)]
        return _array(context, builder, kind, arguments[0], sizes)

    return kind(types.int64, types.UniTuple(types.int64, kind.ndim), dtype), codegen


class _Value:
    """A value operand: `address`, `rows`, `width`."""

    def __init__(
        self, builder: ir.IRBuilder, frame: ir.Value, code: ir.Value, at: ir.Value
    ) -> None:
        def load(base: ir.Value, index: ir.Value, word: int) -> ir.Value:
            words = builder.inttoptr(base, I64.as_pointer())
            return builder.load(builder.gep(words, [builder.add(index, I64(word))]))

        domain = builder.mul(load(code, at, DOMAIN), I64(3))
        prefix = builder.mul(load(code, at, PREFIX), load(frame, domain, CAPACITY))
        self.address = builder.add(load(frame, domain, BASE), prefix)
        self.rows = load(frame, domain, ROWS)
        self.width = load(code, at, WIDTH)


def _array(
    context: Any, builder: ir.IRBuilder, kind: Any, address: ir.Value, sizes: list[ir.Value]
) -> ir.Value:
    item = I64(context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    strides = [item]
    for size in sizes[:0:-1]:
        strides.insert(0, builder.mul(strides[0], size))
    view = make_array(kind)(context, builder)
    data = builder.inttoptr(address, view.data.type)
    populate_array(view, data, sizes, strides, item, meminfo=None)
    return view._getvalue()
