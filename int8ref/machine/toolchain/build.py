"""Compiles the machine: a native function for each operation, and the interpreter that calls them.

As a child process (see `compilers`), this module first sends the number of parts.  Then it receives
numbers of parts, and sends each compiled part.  Every message goes to standard output, with its
length before it.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import config, types
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from int8ref.abi.opcodes import OPCODES, native_function
from int8ref.host import child
from int8ref.host.cpu import cpu
from int8ref.kernels.ir.compile import OPTIONS
from int8ref.kernels.ir.lowering import I64
from int8ref.machine.loop.entry import call_machine
from int8ref.machine.loop.marshal import step_of
from int8ref.machine.loop.part import PARTS, symbol
from int8ref.machine.toolchain import image
from int8ref.machine.toolchain.compilers import send
from int8ref.machine.toolchain.objects import ENTRY, CompilerError, ObjectFile

GARBAGE = 100_000
"""Number of new objects before a garbage collection.  Numba makes many objects, so that frequent
collections are slow."""


def compile_parts(numbers: Iterable[int]) -> Iterator[ObjectFile]:
    """Compile the parts with these numbers; numbers without a part are ignored.

    Raises `CompilerError` if Numba does not compile, or compiles for another CPU than `cpu`
    returns, because the layout of packed weights depends on the CPU.
    """
    if config.DISABLE_JIT:
        raise CompilerError("NUMBA_DISABLE_JIT is set")
    told = cpu_target.target_context.codegen().magic_tuple()
    if told != cpu():
        raise CompilerError(f"Numba compiles for {told}, not for {cpu()}")
    parts = list(functions().items())
    for name, function in (parts[number] for number in numbers if number < len(parts)):
        yield part_of(name, module(name, function))


def functions() -> dict[str, Callable[..., Any]]:
    """Name of the native function -> Python function.

    The slowest functions are not last, because processes that share the work would wait for them.
    """
    return {
        ENTRY: call_machine,
        **{symbol(f"part.{part.__name__}"): part for part in PARTS[::-1]},
        **{symbol(op): step_of(op) for op in reversed(OPCODES) if native_function(op) == op},
    }


def part_of(name: str, compiled: Any) -> ObjectFile:
    """The object code of the module of one part."""
    defined = {f.name for f in compiled.functions if not f.is_declaration}
    needed = {f.name for f in compiled.functions if not f.name.startswith("llvm.")} - defined
    return ObjectFile(name, target_machine().emit_object(compiled), sorted(defined), sorted(needed))


def target_machine() -> Any:
    """LLVM's code generator for this CPU.

    Its code can become an image, if images support this machine.  Otherwise LLVM loads the code.
    """
    llvm.initialize_native_asmparser()  # for the system calls in `kernels.ir.atomic`
    _, name, features = cpu()
    forms = {"reloc": "pic", "codemodel": "small"}
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, **(forms if image.supported() else {"jit": True})
    )


@global_compiler_lock
def module(name: str, function: Callable[..., Any]) -> Any:
    """The optimised LLVM module of `function`, compiled under `name`.

    It is a C function of int64 with its result, int64 or none.  It reports no errors, because
    kernels raise none.  Numba's own compile step would also load the module, which is impossible,
    because the other parts are missing.
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
    outer = target.create_module(name)
    kind = target.call_conv.get_function_type(found.fndesc.restype, found.fndesc.argtypes)
    body = ir.Function(outer, kind, found.fndesc.llvm_func_name)
    returned = I64 if result is types.int64 else ir.VoidType()
    entry = ir.Function(outer, ir.FunctionType(returned, [I64] * parameters), name)
    builder = ir.IRBuilder(entry.append_basic_block())
    _, value = target.call_conv.call_function(
        builder, body, found.fndesc.restype, found.fndesc.argtypes, entry.args
    )
    builder.ret(value) if result is types.int64 else builder.ret_void()
    library = found.library
    library.add_ir_module(outer)
    for used in library._linking_libraries:
        library._final_module.link_in(used._get_module_for_linking(), preserve=True)
    library._optimize_final_module()
    return library._final_module


def main() -> None:
    """Run as a child process (see the module)."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that no other output mixes with the messages
    gc.set_threshold(GARBAGE)
    if hasattr(os, "nice"):
        os.nice(5)  # because a model import at the same time has one thread and takes longer
    send(output, len(functions()))
    for part in compile_parts(child.given()):
        send(output, part)


if __name__ == "__main__":
    main()
