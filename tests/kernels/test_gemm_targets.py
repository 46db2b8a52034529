"""Every instruction set: run if this CPU has it, else imitated or at least compiled.

Each run has its own process, because Numba selects its target once in a process.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from int8ref.host import amx
from int8ref.kernels.gemm.target import select
from tests.helpers.processes import TIMEOUT
from tests.kernels import gemm_cases as gc

ROOT = Path(__file__).parents[2]
X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
AVX512 = "+avx512f,+avx512bw,+avx512vl"


def python(*arguments: str, cpu: str | None = None, features: str = "") -> str:
    """Return the output of a Python process that compiles for this CPU or for the named CPU."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if cpu:
        environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    run = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@cache
def expected_digest() -> str:
    return gc.digest(case.expected() for case in gc.cases())


@cache
def expected_i32_digest() -> str:
    wanted = "i32", "quads"
    return gc.digest({name: case.expected()[name] for name in wanted} for case in gc.cases())


@pytest.mark.parametrize(
    ("triple", "features", "name"),
    [
        (X86, AVX512 + ",+avx512vnni,+avx2,+amx-int8,+amx-tile", "amx"),
        (X86, AVX512 + ",+avx512vnni,+avx2,-amx-int8,+amx-tile", "vnni512"),
        (X86, AVX512 + ",+avx512vnni,+avx2", "vnni512"),
        (X86, "+avx512f,-avx512bw,+avx512vl,+avx512vnni,+avx2", "generic256"),
        (X86, "+avx2,+avxvnni", "vnni256"),
        (X86, AVX512 + ",+avx2,-avx512vnni", "generic512"),
        (X86, "+avx2,-avxvnni", "generic256"),
        (X86, "+sse2", "generic128"),
        (X86, "", "generic128"),
        ("amd64-pc-windows-msvc", "+avx2", "generic256"),
        (ARM, "+neon,+dotprod", "sdot"),
        ("arm64-apple-darwin23", "+dotprod", "sdot"),
        (ARM, "+neon", "neon"),
        ("riscv64-unknown-linux-gnu", "+v", "generic128"),
        (ARM, "+avx2", "neon"),
    ],
)
def test_selection(triple: str, features: str, name: str) -> None:
    assert select(triple, features).name == name


@pytest.mark.parametrize(
    ("cpu", "features", "name"),
    [
        ("cascadelake", AVX512 + ",+avx512vnni,+avx2", "vnni512"),
        ("haswell", "+avx2,+fma,+bmi2", "generic256"),
        ("skylake-avx512", AVX512 + ",+avx512dq,+avx512cd,+avx2", "generic512"),
        ("x86-64", "+sse2", "generic128"),
    ],
)
def test_bits_of_each_target_that_runs_here(cpu: str, features: str, name: str) -> None:
    """test_gemm.py runs the best target of this CPU.  This test runs the others."""
    host = llvm.get_host_cpu_features()
    lacking = [feature for feature in features.split(",") if not host.get(feature[1:], False)]
    if lacking:
        pytest.skip(f"this CPU lacks {', '.join(lacking)}")
    assert python(gc.__file__, cpu=cpu, features=features).split() == [name, expected_digest()]


@pytest.mark.parametrize(
    ("triple", "features", "name"),
    [
        (X86, AVX512 + ",+avx512vnni", "vnni512"),
        (X86, "+avx2,+avxvnni", "vnni256"),
        (ARM, "+dotprod", "sdot"),
        (X86, AVX512, "generic512"),
        (ARM, "", "neon"),
    ],
)
def test_bits_of_imitated_targets(triple: str, features: str, name: str) -> None:
    """The tile shapes, the u8 offset and the start values of another target, on this CPU.

    Equivalent IR replaces the dot-product instruction.
    """
    assert python(gc.__file__, triple, features).split() == [name, expected_i32_digest()]


COMPILE = """
from numba import types
from tests.kernels.products import gemm_i32
array = lambda dtype, dimensions: types.Array(dtype, dimensions, "C")
signature = (
    array(types.int8, 2), array(types.int8, 4), array(types.int32, 1),
    array(types.int32, 2), array(types.uint8, 1),
)
gemm_i32.compile(signature)
print(gemm_i32.inspect_asm(signature))
"""


@pytest.mark.skipif(
    not llvm.get_process_triple().startswith("x86_64"), reason="Numba compiles for its own machine"
)
@pytest.mark.parametrize(
    ("cpu", "features", "instruction"),
    [
        ("cascadelake", AVX512 + ",+avx512vnni", r"vpdpbusd\s.*%zmm"),
        ("alderlake", "+avx2,+avxvnni", r"vpdpbusd\s.*%ymm"),
        ("skylake-avx512", AVX512 + ",+avx2", r"vpmaddwd\s.*%zmm"),
        ("haswell", "+avx2", r"vpmaddwd\s.*%ymm"),
        ("x86-64", "+sse2", r"pmaddwd\s.*%xmm"),
    ],
)
def test_x86_code_has_the_instruction(cpu: str, features: str, instruction: str) -> None:
    """The code is compiled, but not run.

    Each accumulator of the tallest tile has the instruction.
    """
    assert len(re.findall(instruction, python("-c", COMPILE, cpu=cpu, features=features))) >= 12


def test_matrix_registers_have_their_instruction() -> None:
    """Four registers of sums: for 32 rows twice two by two, for 16 rows once one by four."""
    if not amx.allowed():
        pytest.skip("this system permits no matrix registers")
    features = AVX512 + ",+avx512vnni,+amx-int8,+amx-tile"
    code = python("-c", COMPILE, cpu="sapphirerapids", features=features)
    assert len(re.findall(r"tdpbusd\s.*%tmm", code)) == 2 * 4 + 4
    assert "ldtilecfg" in code
    assert "tilerelease" in code


QUADS = COMPILE.replace("gemm_i32", "gemm_quads")
COARSE = """
from numba import types
from tests.kernels.products import gemm_coarse_argmax
array = lambda dtype, dimensions: types.Array(dtype, dimensions, "C")
i8, i32 = types.int8, types.int32
signature = (
    array(i8, 2), array(i8, 4), array(i32, 1), types.int64, array(i8, 2), array(i32, 1),
    array(i32, 1), array(i32, 1), array(types.uint8, 1),
)
gemm_coarse_argmax.compile(signature)
print(gemm_coarse_argmax.inspect_asm(signature))
"""


@pytest.mark.skipif(
    not llvm.get_process_triple().startswith("x86_64"), reason="Numba compiles for its own machine"
)
@pytest.mark.parametrize(
    ("cpu", "features", "instruction"),
    [
        ("skylake-avx512", AVX512 + ",+avx2", r"vpmaddubsw\s.*%zmm"),
        ("haswell", "+avx2", r"vpmaddubsw\s.*%ymm"),
    ],
)
@pytest.mark.parametrize("code", [COARSE, QUADS])
def test_sums_in_16_bits_have_the_instruction(
    cpu: str, features: str, instruction: str, code: str
) -> None:
    """The code is compiled, but not run.  Each row of every tile has two of the instruction."""
    assert len(re.findall(instruction, python("-c", code, cpu=cpu, features=features))) >= 42


ARM_CODE = """
import sys
from int8ref.host import cpu
cpu.cpu = lambda: (sys.argv[1], "", sys.argv[2])
from llvmlite import ir
from int8ref.kernels.gemm.tile import tile_function
module = ir.Module()
for height in range(1, 7):
    tile_function(module, height).linkage = "external"
print(module)
"""


@pytest.mark.parametrize(
    ("features", "instruction"),
    [("+dotprod", r"\bsdot\sv\d+\.4s, v\d+\.16b"), ("+neon", r"\bsm[lu][al]l\w*\s")],
)
def test_arm_code_has_the_instruction(features: str, instruction: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        target = llvm.Target.from_triple(ARM)
    except RuntimeError:
        pytest.skip("this LLVM has no AArch64 code generator")
    module = llvm.parse_assembly(python("-c", ARM_CODE, ARM, features))
    module.verify()
    assembly = target.create_target_machine(features=features, opt=3).emit_assembly(module)
    assert len(re.findall(instruction, assembly)) >= 24
