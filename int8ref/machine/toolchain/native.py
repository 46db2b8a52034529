"""The machine as native code: compiled once for a CPU, stored in a file, loaded without Numba.

To import Numba and to compile with it takes many seconds.  To load stored code takes a few
milliseconds for an image (`image`), and longer if LLVM loads object files.  The name of the file is
a digest of everything on which the code depends: the sources, the versions of Numba, llvmlite and
Python, LLVM's library, and the CPU.
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
from int8ref.machine.toolchain.objects import (
    ENTRY,
    CompilerError,
    ObjectFile,
    Objects,
    decode,
    encode,
)

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
    """The native machine of this process: loaded from the cache, or compiled and stored there.

    Raises `CompilerError`.
    """
    with _lock:
        if not _loaded:
            job = _begun.pop() if _begun else _Job()
            _loaded.append(_load(job.code()))
        return _loaded[0][0]


def prepare() -> None:
    """Start a thread that loads or compiles the code, for which the first call of `machine`
    waits."""
    if _lock.acquire(blocking=False):
        try:
            if not _loaded and not _begun:
                _begun.append(_Job())
        finally:
            _lock.release()


class _Job(threading.Thread):
    """A thread that reads the code, or compiles it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._steps = Steps(_log)
        self._code = b""
        self._error: Exception | None = None
        self.start()

    def code(self) -> bytes:
        """Wait for the code, and return it.  The steps of the thread are logged during the wait."""
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
        """Compile the code, or wait for another process that compiles it."""
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
    """The file of the stored machine."""
    return cache_folder() / f"machine-{sources.digest()}.code"


def compile_machine(tell: Callable[[int, int], object] = lambda done, total: None) -> bytes:
    """Compile the machine; returns its stored form.

    One process for each processor compiles, because one process takes long and needs much memory.
    If these processes fail, the present process compiles, and reports the fault.  If one of them
    crashes, the present process does not compile, because it would crash too.  `tell` receives the
    number of finished parts and the number of all parts.  Raises `CompilerError`.
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


def _compile_here() -> list[ObjectFile]:
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
    executable.check()  # because LLVM does not check, and its code would crash
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
    """The content of a file of code; None if there is no file or it is damaged."""
    try:
        content = path.read_bytes()
        decode(content)
    except (OSError, ValueError):
        return None
    return content
