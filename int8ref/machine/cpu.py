"""The CPU that Numba compiles for, found without Numba, whose import takes long.

LLVM's import takes time and memory, too: what it says of a CPU is kept in the cache folder, where
the system describes the CPU without it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from int8ref import installed, storage

WITHOUT_AVX = {"corei7-avx", "core-avx-i", "sandybridge", "ivybridge", "nocona"}
"""CPUs on which Numba uses no AVX unless NUMBA_ENABLE_AVX says so."""
SETTINGS = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")

DESCRIPTION = Path("/proc/cpuinfo")
TELLING = {
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
}  # fmt: skip
"""What Linux says of a processor that LLVM's name and features of it could follow from."""
ENOUGH = 1 << 14
"""Bytes that hold the description of one processor."""


def cpu() -> tuple[str, str, str]:
    """LLVM's triple, name and features ("+avx2,-avx512f,..."): Numba's `magic_tuple`.

    As Numba does, it heeds `SETTINGS` in the environment.
    """
    described = _described()
    if not described:
        return _asked()
    state = json.dumps([*compilers(), *_settings(), *described]).encode()
    path = storage.cache_folder().joinpath(f"cpu-{hashlib.sha256(state).hexdigest()[:32]}")
    found = _read(path)
    if found is None:
        found = _asked()
        text = "\n".join(found).encode()
        content = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        storage.keep(path, content, "what LLVM says of the CPU", logging.DEBUG)
    return found


@cache
def compilers() -> tuple[str, ...]:
    """The versions of what compiles; and LLVM's library, which may be built anew for the same.

    They are looked up once in a process, as that takes milliseconds.
    """
    versions = [f"{name} {installed.version(name)}" for name in ("numba", "llvmlite")]
    found = find_spec("llvmlite")
    libraries = [
        f"{path.name} {path.stat().st_size}"
        for folder in (found and found.submodule_search_locations) or ()
        for path in sorted(Path(folder, "binding").glob("*llvmlite*"))
    ]
    return *versions, *libraries


def _read(path: Path) -> tuple[str, str, str] | None:
    """What was kept; None where nothing was, or it is damaged."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest != hashlib.sha256(text).hexdigest().encode():
        return None
    triple, name, features = text.decode().split("\n")
    return triple, name, features


def _asked() -> tuple[str, str, str]:
    """What LLVM says."""
    import llvmlite.binding as llvm

    host = llvm.get_host_cpu_name()
    name = os.environ.get("NUMBA_CPU_NAME", host)
    default = "" if name.lower() == "generic" else None
    chosen = os.environ.get("NUMBA_CPU_FEATURES", default)
    return llvm.get_process_triple(), name, _features(name) if chosen is None else chosen


def identity() -> list[str]:
    """What tells CPUs and settings apart for which `cpu` differs.

    On Linux it is the kernel's description of the processor, which takes no LLVM to read; elsewhere
    it is `cpu` itself.
    """
    return [*_settings(), *(_described() or cpu())]


def _settings() -> list[str]:
    return [f"{name}={os.environ.get(name)}" for name in SETTINGS]


def _described() -> list[str]:
    """The telling lines about the first processor, if the system has any."""
    try:
        with DESCRIPTION.open("rb") as file:  # each processor is described as it is read
            text = file.read(ENOUGH).decode(errors="replace").split("\n\n")[0]
    except OSError:
        return []
    lines = [line for line in text.splitlines() if line.partition(":")[0].strip() in TELLING]
    known = {line.partition(":")[0].strip() for line in lines}
    return lines if known & {"flags", "Features"} else []


def _features(name: str) -> str:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if not int(os.environ.get("NUMBA_ENABLE_AVX", name not in WITHOUT_AVX)):
        features.update({feature: False for feature in features if feature.startswith("avx")})
    flat: str = features.flatten()
    return flat
