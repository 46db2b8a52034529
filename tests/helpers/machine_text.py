"""LLVM IR and assembly of the machine, from the compilation that produces its code."""

from __future__ import annotations

import gzip
from functools import cache
from typing import Any

from int8ref.host.storage import keep
from int8ref.machine.toolchain import assembly, native


@cache
def machine_text() -> tuple[str, str]:
    """Return (LLVM IR, assembly).  They are compiled once and kept beside the code.

    A test that needs the machine calls this function first, so that the machine is compiled only
    once.
    """
    place = native.place()
    kept = [place.with_suffix(f".{kind}.gz") for kind in ("ll", "s")]
    if not all(path.exists() for path in (place, *kept)):
        code, *texts = assembly.listing()
        keep(place, code)
        for path, text in zip(kept, texts, strict=True):
            path.write_bytes(gzip.compress(text.encode()))
    ir, text = (gzip.decompress(path.read_bytes()).decode() for path in kept)
    return ir, text


def text_of(module: Any) -> tuple[str, str]:
    """Return (LLVM IR, assembly) of a module."""
    from int8ref.machine.toolchain.build import target_machine

    return str(module), target_machine().emit_assembly(module)
