"""Leaves: Python functions whose compiled form is written in LLVM IR.

A leaf is a plain Python function over addresses and sizes.  Its NumPy body defines it, and runs
under NUMBA_DISABLE_JIT=1.  `@lowers(leaf)` attaches a generator of IR, which compiled code uses
instead.  Leaves take and return only int64, so that compiled code contains no reference count, no
exception and no allocation.  Leaves of scalar arithmetic may use another integer type.
"""

# mypy: disable-error-code="no-untyped-call, untyped-decorator"

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, errors
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, type_callable
from numpy.typing import DTypeLike, NDArray

Emitter = Callable[..., "ir.Value | None"]
I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def lowers(
    leaf: Callable[..., Any], kind: types.Type = types.int64
) -> Callable[[Emitter], Emitter]:
    """Attach `emit(builder, *arguments)` to `leaf`.

    All arguments have the type `kind`.  The result has the same type, unless the leaf returns None.
    """
    python = inspect.signature(leaf)
    arguments = [kind] * len(python.parameters)
    typed = signature(types.void if python.return_annotation == "None" else kind, *arguments)

    def attach(emit: Emitter) -> Emitter:
        @type_callable(leaf)
        def typing(context: Any) -> Any:
            def typer(*args: Any) -> Any:
                return typed

            typer.pysig = python  # type: ignore[attr-defined]
            return typer

        @lower_builtin(leaf, *arguments)
        def lowering(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
            value = emit(builder, *args)
            return context.get_dummy_value() if value is None else value

        return emit

    return attach


def view(address: int, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """The memory at `address` as an array, for the Python bodies of leaves."""
    kind = np.dtype(dtype)
    raw = (ctypes.c_uint8 * (int(np.prod(shape)) * kind.itemsize)).from_address(int(address))
    found: NDArray[Any] = np.ndarray(shape, kind, buffer=memoryview(raw))
    return found.view(np.recarray) if kind.names else found


def address(array: NDArray[Any] | None, dtype: type) -> int:
    """Address of the first element of a C-contiguous array of `dtype`; 0 for None.

    Raises TypeError for any other array; compiled code reports this at compile time.
    """
    if array is None:
        return 0
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(f"expected C-contiguous {np.dtype(dtype)}, got {array.dtype}")
    return array.ctypes.data


@type_callable(address)
def _type_address(context: Any) -> Any:
    def typer(array: Any, dtype: Any) -> Any:
        if isinstance(array, types.NoneType):
            return types.int64
        if not isinstance(array, types.Array) or array.layout != "C" or array.dtype != dtype.dtype:
            raise errors.TypingError(f"expected C-contiguous {dtype.dtype}, got {array}")
        return types.int64

    return typer


@lower_builtin(address, types.NoneType, types.Any)
def _lower_no_address(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
    return ir.Constant(I64, 0)


@lower_builtin(address, types.Array, types.Any)
def _lower_address(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
    struct = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    return builder.ptrtoint(struct.data, I64)


def int32_at(address: int, index: int) -> int:
    """Element `index` of an int32 array at an address."""
    return int(view(address + 4 * index, np.int32, (1,))[0])


@lowers(int32_at)
def _int32_at_ir(builder: ir.IRBuilder, address: ir.Value, index: ir.Value) -> ir.Value:
    return _integer_at(builder, builder.add(address, builder.mul(index, I64(4))), I32)


def int8_at(address: int) -> int:
    """The int8 at an address."""
    return int(view(address, np.int8, (1,))[0])


@lowers(int8_at)
def _int8_at_ir(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return _integer_at(builder, address, I8)


def _integer_at(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    found = builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)
    return builder.sext(found, I64)
