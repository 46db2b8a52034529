"""Words that several threads read and write, and the ways in which a thread waits for them.

A thread first spins, and then sleeps in the kernel of Linux, which wakes it when the word changes
(a futex).  A sleep also ends by itself after a while.  Therefore no thread depends on being woken.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.abi.futex import MACHINE, PAUSES, SLEEP_NANOSECONDS, SLEEPS, SYSCALLS, WAIT, WAKE
from int8ref.kernels.ir.lowering import I32, I64, lowers, view


def fetch(address: int) -> int:
    """The int64 at an address; later reads of this thread follow it."""
    return int(view(address, np.int64, (1,))[0])


@lowers(fetch)
def _fetch_ir(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.load_atomic(_place(builder, address), "seq_cst", 8)


def publish(address: int, value: int) -> None:
    """Write an int64; all earlier writes of this thread precede it."""
    view(address, np.int64, (1,))[0] = value


@lowers(publish)
def _publish_ir(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    builder.atomic_rmw("xchg", _place(builder, address), value, "seq_cst")


def count_up(address: int, number: int) -> int:
    """Add a number to an int64, and return its old value."""
    word = view(address, np.int64, (1,))
    old = int(word[0])
    word[0] = old + number
    return old


@lowers(count_up)
def _count_up_ir(builder: ir.IRBuilder, address: ir.Value, number: ir.Value) -> ir.Value:
    return builder.atomic_rmw("add", _place(builder, address), number, "seq_cst")


def replace(address: int, old: int, new: int) -> int:
    """Replace an int64 that is still `old`; returns 1 if it was."""
    word = view(address, np.int64, (1,))
    equal = int(word[0] == old)
    word[0] = new if equal else word[0]
    return equal


@lowers(replace)
def _replace_ir(builder: ir.IRBuilder, address: ir.Value, old: ir.Value, new: ir.Value) -> ir.Value:
    found = builder.cmpxchg(_place(builder, address), old, new, "seq_cst", "seq_cst")
    return builder.zext(builder.extract_value(found, 1), I64)


def pause() -> None:
    """Let the other thread of the core run for a moment."""


@lowers(pause)
def _pause_ir(builder: ir.IRBuilder) -> None:
    kind = ir.FunctionType(ir.VoidType(), [])
    builder.call(ir.InlineAsm(kind, PAUSES.get(MACHINE, ""), "~{memory}", True), [])


def sleep_while(address: int, value: int) -> None:
    """Sleep while the int32 at an address is `value`: until `wake`, or for SLEEP_NANOSECONDS."""


@lowers(sleep_while)
def _sleep_while_ir(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    with builder.goto_entry_block():
        limit = builder.alloca(ir.ArrayType(I64, 2))
    builder.store(ir.Constant(limit.type.pointee, [0, SLEEP_NANOSECONDS]), limit)
    value = builder.zext(builder.trunc(value, I32), I64)
    _futex(builder, address, WAIT, value, builder.ptrtoint(limit, I64))


def wake(address: int) -> None:
    """Wake all threads that sleep at an address."""


@lowers(wake)
def _wake_ir(builder: ir.IRBuilder, address: ir.Value) -> None:
    _futex(builder, address, WAKE, I64(2**31 - 1), I64(0))


def _futex(
    builder: ir.IRBuilder, address: ir.Value, action: int, value: ir.Value, limit: ir.Value
) -> None:
    if SLEEPS:
        number, instruction, registers = SYSCALLS[MACHINE]
        call = ir.InlineAsm(ir.FunctionType(I64, [I64] * 5), instruction, registers, True)
        builder.call(call, [I64(number), address, I64(action), value, limit])


def _place(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.inttoptr(address, I64.as_pointer())
