"""Detects the CPU that Numba compiles for, without Numba, because importing Numba takes long.

Importing LLVM also takes time and memory.  Where the operating system describes the CPU, the cache
folder stores LLVM's answer under the digest of this description.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from int8ref.errors import UserError
from int8ref.host import amx, arm, installed, storage

WITHOUT_AVX = {"corei7-avx", "core-avx-i", "sandybridge", "ivybridge", "nocona"}
"""CPUs on which Numba uses AVX only if NUMBA_ENABLE_AVX is set."""
SETTINGS = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")

ARM = ("aarch64", "arm64")
DESCRIPTION = Path("/proc/cpuinfo")
TELLING = {
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
}  # fmt: skip
"""Fields of Linux's description of a processor on which LLVM's name and features may depend."""
FORMAT = 2
"""Version of the cache entry."""
ENOUGH = 1 << 14
"""Number of bytes that contains the description of the first processor."""


def cpu() -> tuple[str, str, str]:
    """Return LLVM's triple, name and features ("+avx2,-avx512f,..."): Numba's `magic_tuple`.

    The environment variables `SETTINGS` change the result, as in Numba.
    """
    described = _described()
    if not described:
        return _permitted(*_asked())
    state = json.dumps([FORMAT, *compilers(), *_settings(), *described]).encode()
    path = storage.cache_folder().joinpath(f"cpu-{hashlib.sha256(state).hexdigest()[:32]}")
    found = _read(path)
    if found is None:
        found = _asked()
        text = "\n".join(found).encode()
        content = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        storage.keep(path, content)
    return _permitted(*found)


def _permitted(triple: str, name: str, features: str) -> tuple[str, str, str]:
    """Remove the features that the operating system does not permit to this process."""
    if amx.wanted(features) and not amx.allowed():
        features = amx.without(features)
    return triple, name, features


@cache
def compilers() -> tuple[str, ...]:
    """Return the versions of Numba and llvmlite, and the name and size of LLVM's library.

    A new build of the library may have the same version, so the size distinguishes the builds.  One
    process reads the versions once, because reading takes milliseconds.
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
    """Return the cache entry, or None if the entry is missing or damaged."""
    try:
        digest, _, text = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest != hashlib.sha256(text).hexdigest().encode():
        return None
    triple, name, features = text.decode().split("\n")
    return triple, name, features


def _asked() -> tuple[str, str, str]:
    """Ask LLVM for the CPU, and the operating system for features that LLVM does not report."""
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    given = os.environ.get("NUMBA_CPU_NAME")
    name = llvm.get_host_cpu_name() if given is None else given
    default = "" if given is not None and given.lower() == "generic" else None
    chosen = os.environ.get("NUMBA_CPU_FEATURES", default)
    if chosen is None:
        return triple, name, _features(triple, name)
    if any(feature[:1] not in ("+", "-") for feature in filter(None, chosen.split(","))):
        raise UserError(f"NUMBA_CPU_FEATURES is {chosen!r}, not a list such as +avx2,-avx512f")
    return triple, name, chosen


def lacking() -> list[str]:
    """Return the features of `cpu` that this CPU lacks.  Code that uses them would crash."""
    if "NUMBA_CPU_FEATURES" not in os.environ:
        return []
    import llvmlite.binding as llvm

    has = dict(feature[::-1] for feature in _split(_features(llvm.get_process_triple(), "")))
    wanted = [name for sign, name in _split(cpu()[2]) if sign == "+"]
    return [name for name in wanted if has.get(name) == "-"]


def _split(features: str) -> list[tuple[str, str]]:
    """Split "+avx2,-avx512f" into pairs of sign and name: [("+", "avx2"), ("-", "avx512f")]."""
    return [(feature[0], feature[1:]) for feature in features.split(",") if feature]


def identity() -> list[str]:
    """Return texts that differ if `cpu` differs.

    On Linux the texts are the kernel's description of the processor, because reading it needs no
    LLVM.  On other systems the texts are `cpu` itself.
    """
    described = _described()
    tiles = any("amx_tile" in line for line in described)
    return [*_settings(), *(described or cpu()), *(["tiles"] if tiles and amx.allowed() else [])]


def _settings() -> list[str]:
    return [f"{name}={os.environ.get(name)}" for name in SETTINGS]


def _described() -> list[str]:
    """Return the lines of the fields `TELLING` for the first processor, or [] on other systems."""
    try:
        with DESCRIPTION.open("rb") as file:  # the kernel writes each processor on reading
            text = file.read(ENOUGH).decode(errors="replace").split("\n\n")[0]
    except OSError:
        return []
    lines = [line for line in text.splitlines() if line.partition(":")[0].strip() in TELLING]
    known = {line.partition(":")[0].strip() for line in lines}
    return lines if known & {"flags", "Features"} else []


def _features(triple: str, name: str) -> str:
    """Return the features of this CPU in LLVM's notation."""
    import llvmlite.binding as llvm

    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM does not support this system
        features = llvm.FeatureMap()
    if not _avx(name):
        features.update({feature: False for feature in features if feature.startswith("avx")})
    if triple.split("-")[0] in ARM and arm.has_dot_products(_described()):
        features["dotprod"] = True
    flat: str = features.flatten()
    return flat


def _avx(name: str) -> bool:
    """Return whether Numba uses AVX.  An unreadable NUMBA_ENABLE_AVX has no effect, as in Numba."""
    try:
        return bool(int(os.environ["NUMBA_ENABLE_AVX"]))
    except (KeyError, ValueError):
        return name not in WITHOUT_AVX
