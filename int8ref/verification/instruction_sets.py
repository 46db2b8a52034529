"""The instruction sets that run on this CPU, and the settings of Numba that choose them."""

from __future__ import annotations

from int8ref.host import amx
from int8ref.kernels.gemm.target import InstructionSet, select

Settings = dict[str, str]

VNNI512 = "+avx2,+fma,+avx512f,+avx512bw,+avx512vl,+avx512dq,+avx512cd,+avx512vnni"
FEATURES = {
    "amx": f"{VNNI512},+amx-int8,+amx-tile",
    "vnni512": VNNI512,
    "vnni256": "+avx2,+fma,+avxvnni",
    "generic512": "+avx2,+fma,+avx512f,+avx512bw,+avx512vl,+avx512dq,+avx512cd",
    "generic256": "+avx2,+fma",
    "generic128": "+sse2",
    "sdot": "+neon,+dotprod",
    "neon": "+neon",
}
"""Features that choose an instruction set (`kernels.gemm.target`)."""


def others(chosen: InstructionSet) -> dict[str, Settings]:
    """Return the instruction sets of this CPU except the `chosen` one: name -> environment."""
    import llvmlite.binding as llvm

    triple, has = llvm.get_process_triple(), llvm.get_host_cpu_features()
    found = {}
    for name, features in FEATURES.items():
        runs = all(has.get(feature[1:], False) for feature in features.split(","))
        runs = runs and (not amx.wanted(features) or amx.allowed())
        selected = select(triple, features)
        if runs and selected.name == name != chosen.name:
            found[name] = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": features}
    return found
