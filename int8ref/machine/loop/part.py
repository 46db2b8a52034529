"""Parts of the machine: functions that are compiled separately, once, and called by a symbol.

Every other function becomes part of its caller before compilation.  Parts save time, because the
time of a compilation grows faster than the size of the code.
"""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba.core import cgutils

from int8ref.kernels.ir.lowering import I64, lowers

Function = TypeVar("Function", bound=Callable[..., Any])

PARTS: list[Callable[..., Any]] = []
"""All parts in the order of definition, so that a part comes before its callers."""


def symbol(name: str) -> str:
    """Name of the native function of an operation or part."""
    return f"int8ref.{name}"


def part(function: Function) -> Function:
    """Make a function a part.  It takes int64, and returns int64 or None, as annotated."""
    result = I64 if inspect.signature(function).return_annotation == "int" else ir.VoidType()

    def call(builder: ir.IRBuilder, *arguments: ir.Value) -> ir.Value | None:
        kind = ir.FunctionType(result, [I64] * len(arguments))
        name = symbol(f"part.{function.__name__}")
        found = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
        return found if result is I64 else None

    lowers(function)(call)
    PARTS.append(function)
    return function
