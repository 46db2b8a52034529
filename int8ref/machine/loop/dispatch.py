"""The call of the native function of an instruction's operation."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from int8ref.abi.opcodes import OPCODES, native_function
from int8ref.kernels.ir.lowering import I64, lowers
from int8ref.machine.loop.marshal import step_of
from int8ref.machine.loop.part import symbol


def dispatch(opcode: int, frame: int, code: int) -> None:
    """Run the instruction at `code` by a call of the native function of its operation."""
    op = next(op for op, index in OPCODES.items() if index == opcode)
    step_of(native_function(op))(frame, code)


@lowers(dispatch)
def _dispatch_ir(builder: ir.IRBuilder, opcode: ir.Value, frame: ir.Value, code: ir.Value) -> None:
    done = builder.append_basic_block("dispatch.done")
    switch = builder.switch(opcode, done)
    kind = ir.FunctionType(ir.VoidType(), [I64, I64])
    for op, index in OPCODES.items():
        with builder.goto_block(builder.append_basic_block(op)):
            switch.add_case(index, builder.block)
            step = cgutils.get_or_insert_function(builder.module, kind, symbol(native_function(op)))
            builder.call(step, [frame, code])
            builder.branch(done)
    builder.position_at_end(done)
