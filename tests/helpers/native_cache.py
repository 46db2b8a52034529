"""The code of the machine in a cache of the test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from int8ref.engines.backends import load_engine
from int8ref.host import storage
from int8ref.machine.toolchain import native, objects
from int8ref.machine.toolchain.objects import ObjectFile
from tests.helpers.engines import requests
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model

MODEL = build_tiny_model(2)
REFERENCE = load_engine(MODEL.program, MODEL.tensors, "reference")


@cache
def object_code() -> bytes:
    """Return the real code of the machine.  All tests together compile it at most once."""
    machine_text()
    code = native._read(native.place())
    return native.compile_machine() if code is None else code


class Cache:
    """A cache folder of the test.  Its `compile` returns the existing code and counts the calls."""

    def __init__(self, folder: Path, code: bytes) -> None:
        self.folder = folder
        self.file = folder / native.place().name
        self.compiled = 0
        self._code = code

    def compile(self, tell: Callable[[int, int], object]) -> bytes:
        self.compiled += 1
        return self._code

    def kept(self) -> list[Path]:
        """Return the cached files without the digest of the sources, which must exist.

        The description of the CPU, which an earlier test may have asked for, and records of states
        are left out too.
        """
        others = ("cpu-", "known-")
        found = [p for p in sorted(self.folder.iterdir()) if not p.name.startswith(others)]
        (digest,) = (path for path in found if path.match("sources-*.digest"))
        return [path for path in found if path != digest]

    def works(self) -> bool:
        """Use the machine as a new process does.  Return whether its results are right."""
        native._loaded.clear()
        batch, limits = [[5, 9, 3, 0], [7, 0]], [9, 9]
        engine = load_engine(MODEL.program, MODEL.tensors)
        return engine.greedy(requests(batch, limits)) == REFERENCE.greedy(requests(batch, limits))


def new_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return an empty cache."""
    found = Cache(folder / "cache", object_code())
    monkeypatch.setenv("INT8REF_CACHE", str(found.folder))
    monkeypatch.setattr(native, "compile_machine", found.compile)
    monkeypatch.setattr(native, "_loaded", list(native._loaded))
    monkeypatch.setattr(native, "_begun", [])
    monkeypatch.setattr(storage, "_complained", set())
    return found


def small_part(value: str) -> ObjectFile:
    """Return a machine that stores the value of an expression at the address in its argument."""
    import llvmlite.binding as llvm

    from int8ref.machine.toolchain.build import target_machine

    module = llvm.parse_assembly(f"""
define void @"{objects.ENTRY}"(ptr %address) {{
    %value = {value}
    store i64 %value, ptr %address
    ret void
}}""")
    return ObjectFile(objects.ENTRY, target_machine().emit_object(module), [native.ENTRY], [])
