"""The definition of every operation in plain NumPy integers, one file for each operation.

Each file holds an instruction (a class) and its meaning (a function).  The name of the function is
the name of the class in snake case.  The parameters of the function are the fields of the
instruction, except the results.  A file without such a function holds code that several operations
share.

This code is the golden model.  Where a compiled kernel differs from it, the kernel is wrong.
"""

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

from int8ref.spec.instruction import Instruction, snake_case


@cache
def instructions() -> dict[str, type[Instruction]]:
    """Operation name -> instruction class, for every operation in this folder."""
    found: dict[str, type[Instruction]] = {}
    for name in (module.name for module in pkgutil.iter_modules(__path__)):
        content = vars(importlib.import_module(f"{__name__}.{name}"))
        for thing in content.values() if name in content else ():
            instruction = isinstance(thing, type) and issubclass(thing, Instruction)
            if instruction and snake_case(thing.__name__) == name:
                found[name] = thing
    return found


@cache
def operation(name: str) -> Callable[..., Any]:
    """The reference function of operation `name`."""
    function: Callable[..., Any] = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    return function
