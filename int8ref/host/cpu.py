"""The CPU that Numba compiles for, found without Numba, whose import takes long.

LLVM's import takes time and memory, too: what it says of a CPU is kept in the cache folder, where
the system describes the CPU without it.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from int8ref.errors import UserError
from int8ref.host import arm, installed, storage

WITHOUT_AVX = {"corei7-avx", "core-avx-i", "sandybridge", "ivybridge", "nocona"}
"""CPUs on which Numba uses no AVX unless NUMBA_ENABLE_AVX says so."""
SETTINGS = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX")

ARM = ("aarch64", "arm64")
DESCRIPTION = Path("/proc/cpuinfo")
TELLING = {
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
}  # fmt: skip
"""What Linux says of a processor that LLVM's name and features of it could follow from."""
FORMAT = 2
"""Version of what is kept of a CPU."""
ENOUGH = 1 << 14
"""Bytes that hold the description of one processor."""


def cpu() -> tuple[str, str, str]:
    """LLVM's triple, name and features ("+avx2,-avx512f,..."): Numba's `magic_tuple`.

    As Numba does, it heeds `SETTINGS` in the environment.
    """
    described = _described()
    if not described:
        return _asked()
    state = json.dumps([FORMAT, *compilers(), *_settings(), *described]).encode()
    path = storage.cache_folder().joinpath(f"cpu-{hashlib.sha256(state).hexdigest()[:32]}")
    found = _read(path)
    if found is None:
        found = _asked()
        text = "\n".join(found).encode()
        content = hashlib.sha256(text).hexdigest().encode() + b"\n" + text
        storage.keep(path, content)
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
    """What LLVM says, and the system, which knows of more."""
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
    """The features of `cpu` that this CPU does not have: code that uses one would crash."""
    if "NUMBA_CPU_FEATURES" not in os.environ:
        return []
    import llvmlite.binding as llvm

    has = dict(feature[::-1] for feature in _split(_features(llvm.get_process_triple(), "")))
    wanted = [name for sign, name in _split(cpu()[2]) if sign == "+"]
    return [name for name in wanted if has.get(name) == "-"]


def _split(features: str) -> list[tuple[str, str]]:
    """("+", "avx2") and so on, of "+avx2,-avx512f"."""
    return [(feature[0], feature[1:]) for feature in features.split(",") if feature]


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


def _features(triple: str, name: str) -> str:
    """The features of this CPU as LLVM writes them."""
    import llvmlite.binding as llvm

    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot tell
        features = llvm.FeatureMap()
    if not _avx(name):
        features.update({feature: False for feature in features if feature.startswith("avx")})
    if triple.split("-")[0] in ARM and arm.has_dot_products(_described()):
        features["dotprod"] = True
    flat: str = features.flatten()
    return flat


def _avx(name: str) -> bool:
    """Whether Numba uses AVX; what it cannot read of its settings, it leaves at the default."""
    try:
        return bool(int(os.environ["NUMBA_ENABLE_AVX"]))
    except (KeyError, ValueError):
        return name not in WITHOUT_AVX
