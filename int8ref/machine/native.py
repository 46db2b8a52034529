"""The machine as native code: compiled once a CPU, kept in a file, loaded without Numba.

Importing Numba and compiling with it take many seconds; loading what is kept takes a few
milliseconds where it is an image (`image`), and some more where LLVM loads object files.  The
file's name is a digest of everything the code depends on: the sources, the versions of Numba,
llvmlite and Python, LLVM's library, and the CPU.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from int8ref import locks
from int8ref.errors import UserError
from int8ref.machine import executable, image
from int8ref.machine.cpu import compilers, cpu, identity, lacking
from int8ref.machine.image import Image
from int8ref.processors import processors
from int8ref.progress import PROGRESS, Steps
from int8ref.storage import cache_folder, keep

Machine = Callable[[int], None]
"""Runs the call at an address; releases the GIL."""

ENTRY = "int8ref.machine"
MAX_PROCESSES = 8
COMPILING = "compiling for this CPU"
MAGIC = b"int8ref machine 3\n"
SOURCES = ("kernels", "machine", "reference", "search", "arithmetic.py", "instruction.py")

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list[tuple[Machine, object]] = []
_begun: list[_Job] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begun.clear)  # a fork has no threads


class CompilerError(UserError, RuntimeError):
    """There is no native code: the message says why, and what else there is."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"there is no compiled code: {reason}; --backend reference (in Python:"
            ' backend="reference") gives the same results, slowly'
        )


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object file, and the functions that it defines and that it needs."""

    name: str
    code: bytes
    defined: list[str]
    needed: list[str]


class Objects(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Object files, for LLVM to load."""

    parts: list[bytes]


def machine() -> Machine:
    """The native machine of this process: loaded from the cache, or compiled and kept there.

    Raises `CompilerError`.
    """
    with _lock:
        if not _loaded:
            job = _begun.pop() if _begun else _Job()
            _loaded.append(_load(job.code()))
        return _loaded[0][0]


def prepare() -> None:
    """Begin to do, in a thread, what the first call of `machine` then waits for."""
    if _lock.acquire(blocking=False):
        try:
            if not _loaded and not _begun:
                _begun.append(_Job())
        finally:
            _lock.release()


class _Job(threading.Thread):
    """Reads the code, or compiles it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._steps = Steps(_log)
        self._code = b""
        self._error: Exception | None = None
        self.start()

    def code(self) -> bytes:
        """What it has made; its steps are logged meanwhile."""
        self._steps.follow()
        if self._error is not None:
            raise self._error
        return self._code

    def run(self) -> None:
        """See `threading.Thread.run`."""
        try:
            path = place()
            self._code = _read(path) or self._make(path)
        except Exception as error:
            self._error = error
        finally:
            self._steps.end()

    def _make(self, path: Path) -> bytes:
        """Compile, unless another process is doing that."""
        tell = self._steps.tell
        waiting = partial(tell, logging.WARNING, f"{COMPILING}: waiting for another process ...")
        with locks.alone(path.with_suffix(".lock"), waiting):
            code = _read(path)
            if code is None:
                tell(logging.WARNING, f"{COMPILING} (only now, some 10 to 60 seconds) ...")
                code = compile_machine(
                    lambda done, total: tell(PROGRESS, f"{COMPILING}: {done} of {total} parts")
                )
                keep(path, code)
                tell(logging.WARNING, f"{COMPILING}: done")
        return code


def place() -> Path:
    """Where the machine is kept."""
    return cache_folder() / f"machine-{digest()}.code"


def digest() -> str:
    """Digest of all that native code depends on."""
    state = hashlib.sha256()
    root = Path(__file__).parent.parent
    for name in SOURCES:
        for path in sorted(root.glob(f"{name}/**/*.py") if "." not in name else [root / name]):
            state.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    state.update(json.dumps([*compilers(), sys.version, *identity()]).encode())
    return state.hexdigest()[:32]


def compile_machine(tell: Callable[[int, int], object] = lambda done, total: None) -> bytes:
    """The machine as it is kept.

    It is compiled by a process for each processor, as one takes long, and much memory; where that
    fails, by this process, which then tells what is wrong.  `tell`: how many parts are done, and
    how many there are.  Raises `CompilerError`.
    """
    from int8ref.machine import compilers

    if missing := lacking():
        raise CompilerError(f"NUMBA_CPU_FEATURES has {', '.join(missing)}, which this CPU lacks")
    try:
        parts = compilers.compile_elsewhere(min(processors(), MAX_PROCESSES), tell)
    except compilers.CrashError as signal:
        raise CompilerError(f"the compiler was ended by {signal}") from None
    except (OSError, ValueError) as error:
        _log.info("compiling in this process, as others cannot: %s", error)
        parts = _compile_here()
    return encode(parts)


def _compile_here() -> list[Part]:
    try:
        from int8ref.machine import build, compilers

        return list(build.compile_parts(range(compilers.MAX_PARTS)))
    except CompilerError:
        raise
    except Exception as error:
        raise CompilerError(f"{type(error).__name__}: {error}") from error


def encode(parts: Sequence[Part]) -> bytes:
    """The parts of the machine as they are kept: as an image, where that is possible.

    Raises `CompilerError` where they refer to anything but each other and what an image may import:
    what is loaded without Numba must need nothing of it, and LLVM does not tell what it cannot
    resolve.
    """
    missing = {n for p in parts for n in p.needed} - {n for p in parts for n in p.defined}
    if missing:
        raise CompilerError(f"symbols that nobody defines: {sorted(missing)}")
    objects = [part.code for part in sorted(parts, key=lambda part: part.name)]
    code: Image | Objects = Objects(objects)
    if image.supported():
        try:
            code = image.link(objects, ENTRY)
        except image.LinkError as error:
            _log.info("the code is kept as object files: %s", error)
    content = msgspec.msgpack.encode(code)
    return MAGIC + hashlib.sha256(content).digest() + content


def _decode(content: bytes) -> Image | Objects:
    """Inverse of `encode`.  Raises ValueError."""
    head, code = content[: len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if head != MAGIC + hashlib.sha256(code).digest():
        raise ValueError("damaged code")
    return msgspec.msgpack.decode(code, type=Image | Objects)


def _load(code: bytes) -> tuple[Machine, object]:
    found = _decode(code)
    try:
        address, kept = image.load(found) if isinstance(found, Image) else _load_objects(found)
    except OSError as error:
        raise CompilerError(f"the system forbids to run it ({error.strerror})") from None
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(address), kept


def _load_objects(objects: Objects) -> tuple[int, object]:
    executable.check()  # LLVM does not, and its code would crash
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _, name, features = cpu()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)
    for part in objects.parts:
        engine.add_object_file(llvm.ObjectFileRef.from_data(part))
    engine.finalize_object()
    return engine.get_function_address(ENTRY), engine


def _read(path: Path) -> bytes | None:
    """What is in a file of code, or None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
        _decode(content)
    except (OSError, ValueError):
        return None
    return content
