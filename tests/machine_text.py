"""LLVM IR and assembly of the machine, from the one compilation that also gives its object code."""

from __future__ import annotations

import gzip
from functools import cache
from typing import Any
from unittest import mock

from int8ref.machine import native


@cache
def machine_text() -> tuple[str, str]:
    """(LLVM IR, assembly); compiled once, then kept beside the object code.

    Whoever needs the machine in a test calls this first, so that it is not compiled twice.
    """
    place = native.cache_folder() / f"machine-{native.digest()}.o"
    kept = [place.with_suffix(f".{kind}.gz") for kind in ("ll", "s")]
    if not all(path.exists() for path in (place, *kept)):
        code, texts = _compile()
        native._write(place, code)
        for path, text in zip(kept, texts, strict=True):
            path.write_bytes(gzip.compress(text.encode()))
    ir, assembly = (gzip.decompress(path.read_bytes()).decode() for path in kept)
    return ir, assembly


def _compile() -> tuple[bytes, tuple[str, str]]:
    """The object code as `native` keeps it, and the text that it was made from."""
    from int8ref.machine import build

    parts = list(build.libraries())
    with mock.patch.object(build, "libraries", return_value=parts):
        code = native.compile_machine()
    irs, assemblies = zip(*map(text_of, parts), strict=True)
    return code, ("\n".join(irs), "\n".join(assemblies))


def text_of(library: Any) -> tuple[str, str]:
    """(LLVM IR, assembly) of a code library of Numba."""
    return library.get_llvm_str(), library.get_asm_str()
