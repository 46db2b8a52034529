"""The CPU that Numba compiles for, found without Numba, whose import takes long."""

from __future__ import annotations

import os
from pathlib import Path

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
    settings = [f"{name}={os.environ.get(name)}" for name in SETTINGS]
    return [*settings, *(_described() or cpu())]


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
