"""Products in matrix registers (AMX): 16 or 32 rows times one panel of weights.

A register has 16 rows of 64 bytes.  The instruction tdpbusd multiplies 16 rows of 64 unsigned bytes
by the weights of 16 columns, and adds the sums of 64 products to 16 times 16 int32.  The packed
layout has the weights of 16 columns in this order, with the rows of a register 256 bytes apart.
The sums are exact modulo 2^32, as the sums of vpdpbusd are.
"""

from __future__ import annotations

from functools import partial
from itertools import product

from llvmlite import ir

from int8ref.kernels.gemm.heights import height_function
from int8ref.kernels.gemm.layout import GROUP, PANEL
from int8ref.kernels.gemm.target import MATRIX_ROWS, OPERAND, TARGET
from int8ref.kernels.gemm.tile import multiply_as
from int8ref.kernels.ir.lowering import I8, I64, lowers
from int8ref.kernels.ir.vector import call, loop, offset, store

MATRICES = TARGET.matrices
"""Whether the CPU has matrix registers.  Without them, no function here is called."""
GROUPS = 16
"""Groups of four k that one instruction takes."""
COLUMNS = 16
"""Output columns of a register."""
LINE = 64
"""Bytes of a row of a register."""
SUMS, LEFT, RIGHT = 0, 4, 6
"""The first registers of sums (four), of left rows (two) and of weights (two)."""


def begin_matrices(room: int) -> None:
    """Give all registers 16 rows of 64 bytes; `room`: address of 64 bytes."""


@lowers(begin_matrices)
def _begin_ir(builder: ir.IRBuilder, room: ir.Value) -> None:
    if not MATRICES:
        return
    wide = LINE * 0x0001_0001_0001_0001  # four registers, 16 bits each
    tall = MATRIX_ROWS * 0x0101_0101_0101_0101  # eight registers, 8 bits each
    for place, word in enumerate((1, 0, wide, wide, 0, 0, tall, 0)):  # palette 1
        store(builder, ir.Constant(I64, word), offset(builder, room, 8 * place))
    _emit(builder, "ldtilecfg", _pointer(builder, room))


def end_matrices(room: int) -> None:
    """Give the registers back, because a thread that has none is faster to suspend."""


@lowers(end_matrices)
def _end_ir(builder: ir.IRBuilder, room: ir.Value) -> None:
    if MATRICES:
        _emit(builder, "tilerelease")


def multiply_matrices(
    rows: int, a: int, a_pitch: int, b: int, groups: int, start: int, c: int, c_pitch: int
) -> None:
    """`tile.multiply` for 16 or 32 rows; `groups` is a multiple of GROUPS."""
    multiply_as(OPERAND, rows, a, a_pitch, b, groups, start, c, c_pitch)


@lowers(multiply_matrices)
def _multiply_ir(builder: ir.IRBuilder, rows: ir.Value, *arguments: ir.Value) -> None:
    if not MATRICES:
        return
    both = builder.icmp_signed("==", rows, ir.Constant(I64, 2 * MATRIX_ROWS))
    with builder.if_else(both) as (tall, short):
        for branch, height in ((tall, 2), (short, 1)):
            with branch:
                builder.call(_function(builder.module, height), arguments)


def _function(module: ir.Module, height: int) -> ir.Function:
    return height_function(module, "matrices", height * MATRIX_ROWS, partial(_panel, height))


def _panel(
    down: int,
    builder: ir.IRBuilder,
    rows: int,
    a: ir.Value,
    a_pitch: ir.Value,
    b: ir.Value,
    groups: ir.Value,
    start: ir.Value,
    c: ir.Value,
    c_pitch: ir.Value,
) -> None:
    """Four registers of sums at a time: two times two, or one times four."""
    across = 4 // down
    zero, pitch = ir.Constant(I64, 0), ir.Constant(I64, PANEL * GROUP)
    sums = list(product(range(down), range(across)))
    for first in range(0, PANEL, across * COLUMNS):
        columns = [(first + j * COLUMNS) * GROUP for j in range(across)]
        for i, j in sums:
            _load(builder, SUMS + i * across + j, offset(builder, start, columns[j]), zero)
        with loop(builder, 0, groups, GROUPS) as group:
            left = offset(builder, a, group, GROUP)
            right = offset(builder, b, group, PANEL * GROUP)
            for i in range(down):
                at = offset(builder, left, a_pitch, i * MATRIX_ROWS)
                _load(builder, LEFT + i, at, a_pitch)
            for j in range(across):
                register = RIGHT + j % 2
                _load(builder, register, offset(builder, right, columns[j]), pitch)
                for i in range(down):
                    total = SUMS + i * across + j
                    _emit(builder, "tdpbusd", I8(total), I8(LEFT + i), I8(register))
        for i, j in sums:
            at = offset(builder, offset(builder, c, c_pitch, i * MATRIX_ROWS), columns[j])
            to = I8(SUMS + i * across + j), _pointer(builder, at), c_pitch
            _emit(builder, "tilestored64", *to)


def _load(builder: ir.IRBuilder, register: int, at: ir.Value, pitch: ir.Value) -> None:
    _emit(builder, "tileloadd64", I8(register), _pointer(builder, at), pitch)


def _pointer(builder: ir.IRBuilder, at: ir.Value) -> ir.Value:
    return builder.inttoptr(at, I8.as_pointer())


def _emit(builder: ir.IRBuilder, name: str, *operands: ir.Value) -> None:
    call(builder, f"llvm.x86.{name}", ir.VoidType(), *operands)
