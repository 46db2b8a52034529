"""How many int8 multiply-adds a core can do at most (`benchmarks.loops`)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm

from benchmarks.loops import LOOPS, TURNS

PACKAGES = ("llvmlite",)


class Engine:
    """Work: {"loop": a name of LOOPS}; a run does TURNS turns of it."""

    def __init__(self, options: dict[str, Any]) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        llvm.initialize_native_asmparser()

    def prepare(self, work: dict[str, Any]) -> Callable[[], None]:
        loop = LOOPS[work["loop"]]
        if not llvm.get_host_cpu_features().get(loop.feature):
            raise NotImplementedError(f"this CPU has no {loop.feature}")
        engine = _compile(loop.assembly())
        address = engine.get_function_address("peak")
        peak = ctypes.CFUNCTYPE(None, ctypes.c_int64)(address)

        def run(kept: Any = engine) -> None:  # without the engine there is no code
            peak(TURNS)

        return run


def _compile(assembly: str) -> Any:
    lines = "".join(f'module asm "{line}"\n' for line in assembly.splitlines())
    module = llvm.parse_assembly(f"{lines}declare void @peak(i64)\n")
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), jit=True
    )
    engine = llvm.create_mcjit_compiler(module, target)
    engine.finalize_object()
    return engine
