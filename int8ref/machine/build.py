"""Compiles the machine: a native function an operation, and the interpreter that calls them."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from int8ref.kernels.compile import OPTIONS
from int8ref.kernels.gemm.lowering import I64
from int8ref.machine.assemble import OPCODES
from int8ref.machine.entry import call_machine
from int8ref.machine.native import ENTRY
from int8ref.machine.part import PARTS, symbol


def objects() -> list[bytes]:
    """Object code of all parts of the machine.

    Raises RuntimeError where they refer to anything but each other: what is loaded without Numba
    must need nothing of it, and the loader does not tell what it could not resolve.
    """
    parts = list(libraries())
    functions = [f for part in parts for f in part._final_module.functions]
    defined = {f.name for f in functions if not f.is_declaration}
    missing = {f.name for f in functions if not f.name.startswith("llvm.")} - defined
    if missing:
        raise RuntimeError(f"compiled code needs symbols that nobody defines: {sorted(missing)}")
    return [part._get_compiled_object() for part in parts]


def libraries() -> Iterator[Any]:
    """Numba's code libraries of all parts of the machine, the entry last."""
    for op in OPCODES:
        step = importlib.import_module(f"int8ref.kernels.{op}").step
        yield library(symbol(op), step.py_func)
    for part in PARTS:
        yield library(symbol(f"part.{part.__name__}"), part)
    yield library(ENTRY, call_machine)


@global_compiler_lock
def library(name: str, function: Callable[..., Any]) -> Any:
    """`function` of int64, compiled under `name`: a C function with its result, int64 or none.

    It reports no errors, because kernels raise none.
    """
    told = inspect.signature(function)
    parameters = len(told.parameters)
    result = types.int64 if told.return_annotation == "int" else types.void
    target = cpu_target.target_context
    flags = Flags()
    cpu_target.options.parse_as_flags(flags, OPTIONS | {"nopython": True})
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.no_compile = True
    found = compile_extra(
        cpu_target.typing_context,
        target,
        function,
        [types.int64] * parameters,
        result,
        flags,
        locals={},
    )
    module = target.create_module(name)
    kind = target.call_conv.get_function_type(found.fndesc.restype, found.fndesc.argtypes)
    body = ir.Function(module, kind, found.fndesc.llvm_func_name)
    returned = I64 if result is types.int64 else ir.VoidType()
    entry = ir.Function(module, ir.FunctionType(returned, [I64] * parameters), name)
    builder = ir.IRBuilder(entry.append_basic_block())
    _, value = target.call_conv.call_function(
        builder, body, found.fndesc.restype, found.fndesc.argtypes, entry.args
    )
    builder.ret(value) if result is types.int64 else builder.ret_void()
    found.library.add_ir_module(module)
    found.library.get_pointer_to_function(name)
    return found.library
