"""Operands of code as arrays, inside compiled code only."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from int8ref.kernels.compile import kernel
from int8ref.kernels.gemm.layout import DEPTH, GROUP, PANEL
from int8ref.machine.frame import (
    BASE,
    CAPACITY,
    DOMAIN,
    PREFIX,
    ROWS,
    WIDTH,
    WORKSPACE,
)


@intrinsic
def pointer(typing_context, address):
    """int64 -> void pointer."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), codegen


@kernel
def rows_of(frame, code, at):
    """Rows of the value operand at word `at` of `code`."""
    return frame[3 * code[at + DOMAIN] + ROWS]


@kernel
def value_address(frame, code, at):
    """Address of the value operand at word `at` of `code`."""
    domain = 3 * code[at + DOMAIN]
    return frame[domain + BASE] + code[at + PREFIX] * frame[domain + CAPACITY]


@kernel
def matrix(frame, code, at, dtype):
    """A value as an array [rows, width]."""
    shape = (rows_of(frame, code, at), code[at + WIDTH])
    return carray(pointer(value_address(frame, code, at)), shape, dtype)


@kernel
def column(frame, code, at):
    """A value of width 0 as an int32 array [rows]."""
    return carray(pointer(value_address(frame, code, at)), (rows_of(frame, code, at),), np.int32)


@kernel
def tensor1(address, size, dtype):
    """A tensor as an array [size]."""
    return carray(pointer(address), (size,), dtype)


@kernel
def tensor2(address, rows, columns, dtype):
    """A tensor as an array [rows, columns]."""
    return carray(pointer(address), (rows, columns), dtype)


@kernel
def panels(address, columns, depth):
    """A packed weight [ceil(columns/64), ceil(depth/8)*2, 64, 4]."""
    shape = ((columns + PANEL - 1) // PANEL, (depth + DEPTH - 1) // DEPTH * (DEPTH // GROUP), PANEL, GROUP)
    return carray(pointer(address), shape, np.int8)


@kernel
def scratch(frame, size):
    """The first `size` bytes of the workspace."""
    return carray(pointer(frame[WORKSPACE]), (size,), np.uint8)
