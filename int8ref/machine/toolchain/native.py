"""The machine as native code: compiled once a CPU, kept in a file, loaded without Numba.

Importing Numba and compiling with it take many seconds; loading what is kept takes a few
milliseconds where it is an image (`image`), and some more where LLVM loads object files.  The
file's name is a digest of everything the code depends on: the sources, the versions of Numba,
llvmlite and Python, LLVM's library, and the CPU.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from int8ref.host import locks
from int8ref.host.cpu import cpu, lacking
from int8ref.host.processors import processors
from int8ref.host.progress import PROGRESS, Steps
from int8ref.host.storage import cache_folder, keep
from int8ref.machine.toolchain import executable, image, sources
from int8ref.machine.toolchain.image import Image
from int8ref.machine.toolchain.objects import ENTRY, CompilerError, Objects, Part, decode, encode

Machine = Callable[[int], None]
"""Runs the call at an address; releases the GIL."""

MAX_PROCESSES = 8
COMPILING = "compiling for this CPU"

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list[tuple[Machine, object]] = []
_begun: list[_Job] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begun.clear)  # a fork has no threads


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
    return cache_folder() / f"machine-{sources.digest()}.code"


def compile_machine(tell: Callable[[int, int], object] = lambda done, total: None) -> bytes:
    """The machine as it is kept.

    It is compiled by a process for each processor, as one takes long, and much memory; where that
    fails, by this process, which then tells what is wrong.  `tell`: how many parts are done, and
    how many there are.  Raises `CompilerError`.
    """
    from int8ref.machine.toolchain import compilers

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
        from int8ref.machine.toolchain import build, compilers

        return list(build.compile_parts(range(compilers.MAX_PARTS)))
    except CompilerError:
        raise
    except Exception as error:
        raise CompilerError(f"{type(error).__name__}: {error}") from error


def _load(code: bytes) -> tuple[Machine, object]:
    found = decode(code)
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
        decode(content)
    except (OSError, ValueError):
        return None
    return content
