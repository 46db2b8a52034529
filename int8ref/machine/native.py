"""The machine as native code: compiled once a CPU, kept as an object file, loaded without Numba.

Importing and compiling with Numba takes many seconds; loading the object file takes a tenth of one.
The file's name is a digest of everything the code depends on: the sources, the versions of Numba,
llvmlite and Python, and the CPU's name and features.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import struct
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

from int8ref.machine.cpu import cpu
from int8ref.storage import cache_folder, write_whole

Machine = Callable[[int], None]
"""Runs the call at an address; releases the GIL."""

ENTRY = "int8ref.machine"
MAGIC = b"int8ref object 2\n"
SIZE = struct.Struct("<Q")
SOURCES = ("kernels", "machine", "reference", "arithmetic.py", "instruction.py")

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list[tuple[Machine, object]] = []


def machine() -> Machine:
    """The native machine of this process: loaded from the cache, or compiled and kept there."""
    with _lock:
        if not _loaded:
            path = cache_folder() / f"machine-{digest()}.o"
            code = _read(path)
            if code is None:
                _log.warning("compiling for this CPU (only now, some 10 to 60 seconds) ...")
                code = compile_machine()
                _write(path, code)
            _loaded.append(_load(code))
        return _loaded[0][0]


def digest() -> str:
    """Digest of all that native code depends on."""
    state = hashlib.sha256()
    root = Path(__file__).parent.parent
    for name in SOURCES:
        for path in sorted(root.glob(f"{name}/**/*.py") if "." not in name else [root / name]):
            state.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    facts = [version("numba"), version("llvmlite"), sys.version, *cpu()]
    state.update(json.dumps(facts).encode())
    return state.hexdigest()[:32]


def compile_machine() -> bytes:
    """The object code of all parts of the machine, each after its size.

    Raises RuntimeError where Numba compiles for another CPU than `cpu` tells, as the weights would
    be packed for the wrong one.
    """
    from numba.core.registry import cpu_target

    from int8ref.machine.build import objects

    told = cpu_target.target_context.codegen().magic_tuple()
    if told != cpu():
        raise RuntimeError(
            f"Numba compiles for {told}, not for {cpu()}: is it configured by a file?"
        )
    return b"".join(SIZE.pack(len(part)) + part for part in objects())


def _load(code: bytes) -> tuple[Machine, object]:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _, name, features = cpu()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    at = 0
    while at < len(code):
        (size,) = SIZE.unpack_from(code, at)
        at += SIZE.size + size
        engine.add_object_file(llvm.ObjectFileRef.from_data(code[at - size : at]))
    engine.finalize_object()
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(engine.get_function_address(ENTRY)), engine


def _read(path: Path) -> bytes | None:
    """The object code in a file, or None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    return code if head == MAGIC + hashlib.sha256(code).digest() else None


def _write(path: Path, code: bytes) -> None:
    """Keep object code; where that cannot be, a warning says so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, MAGIC + hashlib.sha256(code).digest() + code)
    except OSError as error:
        _log.warning("compiled code cannot be kept in %s: %s", path.parent, error)
