"""The CPU that Numba compiles for, found without Numba, whose import takes long."""

from __future__ import annotations

import os

import llvmlite.binding as llvm

WITHOUT_AVX = {"corei7-avx", "core-avx-i", "sandybridge", "ivybridge", "nocona"}
"""CPUs on which Numba uses no AVX unless NUMBA_ENABLE_AVX says so."""


def cpu() -> tuple[str, str, str]:
    """LLVM's triple, name and features ("+avx2,-avx512f,..."): Numba's `magic_tuple`.

    As Numba does, it heeds NUMBA_CPU_NAME, NUMBA_CPU_FEATURES and NUMBA_ENABLE_AVX.
    """
    host = llvm.get_host_cpu_name()
    name = os.environ.get("NUMBA_CPU_NAME", host)
    default = "" if name.lower() == "generic" else None
    chosen = os.environ.get("NUMBA_CPU_FEATURES", default)
    return llvm.get_process_triple(), name, _features(name) if chosen is None else chosen


def _features(name: str) -> str:
    features = llvm.get_host_cpu_features()
    if not int(os.environ.get("NUMBA_ENABLE_AVX", name not in WITHOUT_AVX)):
        features.update({feature: False for feature in features if feature.startswith("avx")})
    flat: str = features.flatten()
    return flat
