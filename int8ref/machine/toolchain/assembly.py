"""The assembly of the native code, and its instructions that compute with floating-point numbers.

The compiler that makes the native code can also print it.  `listing` compiles the parts of the
machine, and returns their stored form together with their assembly.  If the stored form is equal to
the file that a process loads, the assembly is the assembly of the code that runs.
"""

from __future__ import annotations

import re

from int8ref.machine.toolchain import objects

_PACKED = (
    r"(?:add|sub|mul|div|max|min|sqrt|rsqrt|rcp|cmp\w*|round|hadd|hsub|addsub|dp|rndscale|scalef)"
)
_FLOATING = re.compile(
    rf"^\s+(?:v?{_PACKED}(?:ss|sd|sh|ps|pd|ph)|v?u?comi(?:ss|sd|sh)|v?cvt\w+|vfn?m(?:add|sub)\w+"
    r"|f(?:add|sub|mul|div|ld|st|stp|ild|ist|istp|xch|chs|abs|sqrt)[a-z]*"  # x87, AArch64
    r"|[su]cvtf|fcvt\w+|fmov|fcmp\w*|fm(?:la|ls|add|sub|ax|in)\w*)\s",
    re.MULTILINE,
)
_INSTRUCTION = re.compile(r"^\t[a-z]\w*", re.MULTILINE)


def floating(text: str) -> list[str]:
    """Return the floating-point arithmetic and conversions of an assembly.

    Moves, shuffles and logic with "ps" in their name (movaps, xorps) change no number.
    """
    return [match.group(0).strip() for match in _FLOATING.finditer(text)]


def count(text: str) -> int:
    """Return the number of instructions of an assembly."""
    return len(_INSTRUCTION.findall(text))


def listing() -> tuple[bytes, str, str]:
    """Return (the code as `native` stores it, its LLVM IR, its assembly).

    The compilation takes as long as a first start.  Raises `CompilerError`.
    """
    from int8ref.machine.toolchain import build

    modules = {name: build.module(name, function) for name, function in build.functions().items()}
    parts = [build.part_of(name, module) for name, module in modules.items()]
    machine = build.target_machine()
    irs = [str(module) for module in modules.values()]
    texts = [machine.emit_assembly(module) for module in modules.values()]
    return objects.encode(parts), "\n".join(irs), "\n".join(texts)
