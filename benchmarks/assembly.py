"""Compiles functions in assembly language and makes them callable."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm


def prepare() -> None:
    """Initialise LLVM for this machine.  Call this function first."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


def require(feature: str) -> None:
    """Raise NotImplementedError if the CPU lacks the feature."""
    if not llvm.get_host_cpu_features().get(feature):
        raise NotImplementedError(f"this CPU has no {feature}")


def function(name: str, assembly: str, parameters: int) -> Callable[..., None]:
    """Return the function `name` of the assembly code (AT&T syntax).  Its parameters are int64."""
    lines = "".join(f'module asm "{line}"\n' for line in assembly.splitlines())
    declared = f"declare void @{name}({', '.join(['i64'] * parameters)})\n"
    module = llvm.parse_assembly(lines + declared)
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), jit=True
    )
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    address = engine.get_function_address(name)
    native = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * parameters)(address)

    def run(*arguments: int, kept: Any = engine) -> None:  # the engine owns the code
        native(*arguments)

    return run
