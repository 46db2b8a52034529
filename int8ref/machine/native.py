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
from pathlib import Path

import msgspec

from int8ref.machine import image
from int8ref.machine.cpu import compilers, cpu, identity
from int8ref.machine.image import Image
from int8ref.processors import processors
from int8ref.storage import cache_folder, keep

Machine = Callable[[int], None]
"""Runs the call at an address; releases the GIL."""

ENTRY = "int8ref.machine"
MAX_PROCESSES = 8
MAX_PARTS = 256
MAGIC = b"int8ref machine 3\n"
SOURCES = ("kernels", "machine", "reference", "search", "arithmetic.py", "instruction.py")

_log = logging.getLogger(__name__)
_lock = threading.Lock()
_loaded: list[tuple[Machine, object]] = []


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
    """The native machine of this process: loaded from the cache, or compiled and kept there."""
    with _lock:
        if not _loaded:
            path = place()
            code = _read(path)
            if code is None:
                _log.warning("compiling for this CPU (only now, some 10 to 60 seconds) ...")
                code = compile_machine()
                keep(path, code, "compiled code", logging.WARNING)
            _loaded.append(_load(code))
        return _loaded[0][0]


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


def compile_machine() -> bytes:
    """The machine as it is kept.

    It is compiled by a process for each processor, as one takes long, and much memory; where that
    fails, by this process, which then tells what is wrong.  Raises RuntimeError.
    """
    try:
        parts = _compile_elsewhere(min(processors(), MAX_PROCESSES))
    except (OSError, ValueError) as error:
        _log.info("compiling in this process, as others cannot: %s", error)
        from int8ref.machine.build import compile_parts

        parts = compile_parts(range(MAX_PARTS))
    return encode(parts)


def _compile_elsewhere(count: int) -> list[Part]:
    """All parts, compiled by so many processes; each takes the next part from a pipe.

    Raises OSError and ValueError where one of them fails.
    """
    import subprocess

    from int8ref import child

    read, write = os.pipe()
    os.write(write, bytes(range(MAX_PARTS)))
    os.close(write)
    command, environment = child.program("int8ref.machine.build")
    started: list[subprocess.Popen[bytes]] = []
    parts: list[Part] = []
    try:
        for _ in range(count):
            started.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdin=read,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )
        for process in started:
            parts += msgspec.msgpack.decode(process.communicate()[0], type=list[Part])
    finally:
        os.close(read)
        for process in started:
            process.kill()
            with process:  # which waits, and closes its pipe
                pass
    return parts


def encode(parts: Sequence[Part]) -> bytes:
    """The parts of the machine as they are kept: as an image, where that is possible.

    Raises RuntimeError where they refer to anything but each other and what an image may import:
    what is loaded without Numba must need nothing of it, and LLVM does not tell what it cannot
    resolve.
    """
    missing = {n for p in parts for n in p.needed} - {n for p in parts for n in p.defined}
    if missing:
        raise RuntimeError(f"compiled code needs symbols that nobody defines: {sorted(missing)}")
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
    address, kept = image.load(found) if isinstance(found, Image) else _load_objects(found)
    return ctypes.CFUNCTYPE(None, ctypes.c_int64)(address), kept


def _load_objects(objects: Objects) -> tuple[int, object]:
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
