"""Functions written in assembly, made callable."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm


def prepare() -> None:
    """Make LLVM know this machine; to be called before the rest."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()


def require(feature: str) -> None:
    """Raises NotImplementedError where the CPU has no such feature."""
    if not llvm.get_host_cpu_features().get(feature):
        raise NotImplementedError(f"this CPU has no {feature}")


def function(name: str, assembly: str, parameters: int) -> Callable[..., None]:
    """The function `name`, of so many int64, that the assembly (AT&T syntax) defines."""
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

    def run(*arguments: int, kept: Any = engine) -> None:  # without the engine there is no code
        native(*arguments)

    return run
