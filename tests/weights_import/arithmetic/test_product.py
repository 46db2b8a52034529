"""Products against NumPy bit for bit, and the bits of all results on other processors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.processes import TIMEOUT
from tests.weights_import.arithmetic import fixed_results
from weights_import.arithmetic.product import DEPTH, packed, product

ROOT = Path(__file__).parents[3]
Float32 = NDArray[np.float32]


def expected(x: Float32, w: Float32) -> Float32:
    """The formula of `product` in float32."""
    total = np.zeros((len(x), len(w)), np.float32)
    for first in range(0, x.shape[1], DEPTH):
        block = np.zeros_like(total)
        for c in range(first, min(first + DEPTH, x.shape[1])):
            block = block + x[:, c, None] * w[:, c]
        total = total + block
    return total


def random_matrix(seed: int, *shape: int) -> Float32:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("depth", [1, 8, 256, 257, 600])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (1, 300), (8, 32), (9, 33), (31, 300), (129, 31), (300, 65)]
)
def test_product(
    rows: int, columns: int, depth: int, count: int, use_threads: Callable[[int], None]
) -> None:
    use_threads(count)
    x, w = random_matrix(rows, rows, depth), random_matrix(columns, columns, depth)
    found = product(x, packed(w), columns)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert (found == expected(x, w)).all()


def test_strided_arguments() -> None:
    x, w = random_matrix(0, 40, 74)[::2, 1::2], random_matrix(1, 37, 41).T
    wanted = expected(x, w)
    assert (product(x, packed(w), len(w)) == wanted).all()
    assert (product(np.asfortranarray(x), packed(w[:, ::-1][:, ::-1]), len(w)) == wanted).all()


def test_nothing_and_no_depth() -> None:
    assert product(random_matrix(0, 0, 5), packed(random_matrix(0, 7, 5)), 7).shape == (0, 7)
    found = product(random_matrix(0, 3, 0), packed(random_matrix(0, 7, 0)), 7)
    assert (found == np.zeros((3, 7))).all()


def child(cache: Path, *arguments: str, **environment: str) -> str:
    """What fixed_results.py prints in another process that compiles everything anew."""
    run = subprocess.run(
        [sys.executable, fixed_results.__file__, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "INT8REF_CACHE": str(cache), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def digests(output: str) -> dict[str, str]:
    lines = output.splitlines()[: len(fixed_results.KINDS)]
    return dict(line.split() for line in lines)


FUSED = r"v?fn?m(add|sub)\d*[sp][sd]|\bfn?m(add|sub)\b|\bfml[as]\b|llvm\.fma|fmuladd"
RELAXED = r"= f\w+ (fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b"


def test_nothing_is_fused_or_relaxed(tmp_path: Path) -> None:
    """Neither in the machine code of this processor, nor in the code that any other one gets."""
    output = child(tmp_path, "code")
    assert digests(output) == fixed_results.digests()
    for kernel in ("_of_one", "_of_two", "_activate", "_multiply", "_subtract", "_solve", "_sweep"):
        assert output.count(f"; kernel {kernel}\n") == 2, "LLVM code and machine code"
    assert not re.findall(FUSED, output)
    assert not re.findall(RELAXED, output)


def test_no_kernel_may_relax() -> None:
    found = list(fixed_results.kernels())
    assert len(found) > 10
    assert not [kernel for kernel in found if kernel.targetoptions.get("fastmath")]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("\tvfmadd231ps\t(%rax), %zmm1, %zmm2", FUSED),
        ("\tvfnmadd213sd\t%xmm0, %xmm1, %xmm2", FUSED),
        ("\tfmla\tv0.4s, v1.4s, v2.4s", FUSED),
        ("\tfmadd\td0, d1, d2, d3", FUSED),
        ("  %1 = call double @llvm.fma.f64(double %a, double %b, double %c)", FUSED),
        ("  %1 = fadd fast double %a, %b", RELAXED),
        ("  %1 = fmul contract <4 x float> %a, %b", RELAXED),
    ],
)
def test_the_patterns(text: str, pattern: str) -> None:
    assert re.findall(pattern, text)


@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="only x86 has SSE2")
def test_the_oldest_processor_gives_the_same_bits(tmp_path: Path) -> None:
    newer = [name for name in llvm.get_host_cpu_features() if re.match("s*e[34]|avx|fma|xop", name)]
    features = ",".join(["+sse", "+sse2", *(f"-{name}" for name in newer)])
    output = child(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES=features)
    assert digests(output) == fixed_results.digests()


def test_python_gives_the_same_bits(tmp_path: Path) -> None:
    output = child(tmp_path, NUMBA_DISABLE_JIT="1")
    assert digests(output) == fixed_results.digests()
