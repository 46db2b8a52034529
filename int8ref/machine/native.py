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
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm
import platformdirs

from int8ref.machine.cpu import cpu

Machine = Callable[[int], None]
"""Runs the call at an address; releases the GIL."""

MAGIC = b"int8ref object 1\n"
SOURCES = ("kernels", "machine", "reference", "arithmetic.py", "instruction.py")

UNREACHABLE = (
    "NRT_Free",
    "NRT_MemInfo_call_dtor",
    "numba_do_raise",
    "numba_gil_ensure",
    "numba_gil_release",
    "numba_runtime_build_excinfo_struct",
    "numba_unpickle",
)
"""Symbols of Numba's runtime that the object refers to on paths never taken: kernels raise nothing
and own no memory.  Without Numba they would stay unresolved."""

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
                _log.warning("compiling for this CPU (only now, takes some seconds) ...")
                code = compile_machine()
                _write(path, code)
            _loaded.append(_load(code))
        return _loaded[0][0]


def cache_folder() -> Path:
    """Where compiled code and imported models are kept: INT8REF_CACHE, or the user's cache folder."""
    chosen = os.environ.get("INT8REF_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("int8ref")


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
    """The name of the machine's entry, a newline, and its object code.

    Raises RuntimeError where Numba compiles for another CPU than `cpu` tells, as the weights would
    be packed for the wrong one.
    """
    from numba import cfunc, types
    from numba.core.registry import cpu_target

    from int8ref.machine.interpreter import call_machine

    told = cpu_target.target_context.codegen().magic_tuple()
    if told != cpu():
        raise RuntimeError(
            f"Numba compiles for {told}, not for {cpu()}: is it configured by a file?"
        )
    entry = cfunc(types.void(types.int64), nopython=True, error_model="numpy")(call_machine.py_func)
    name: bytes = entry.native_name.encode()
    code: bytes = entry._library._get_compiled_object()
    return name + b"\n" + code


def _load(code: bytes) -> tuple[Machine, object]:
    name, _, obj = code.partition(b"\n")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    fatal = ctypes.cast(ctypes.pythonapi.Py_FatalError, ctypes.c_void_p).value
    for symbol in UNREACHABLE:
        llvm.add_symbol(symbol, fatal)
    _, name_of_cpu, features = cpu()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=name_of_cpu, features=features, jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    engine.add_object_file(llvm.ObjectFileRef.from_data(obj))
    engine.finalize_object()
    address = engine.get_function_address(name.decode())
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(address), engine


def _read(path: Path) -> bytes | None:
    """The object code in a file, or None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    return code if head == MAGIC + hashlib.sha256(code).digest() else None


def _write(path: Path, code: bytes) -> None:
    """Keep object code: written aside and renamed, so that nobody ever reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            aside = Path(folder, path.name)
            aside.write_bytes(MAGIC + hashlib.sha256(code).digest() + code)
            aside.replace(path)
    except OSError as error:
        _log.warning("compiled code cannot be kept in %s: %s", path.parent, error)
