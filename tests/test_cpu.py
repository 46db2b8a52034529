"""The CPU that code is compiled for: as Numba has it, found and kept without Numba."""

from __future__ import annotations

from pathlib import Path

import pytest

from int8ref.machine import cpu
from tests.processes import TIMEOUT, python

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu MHz\t\t: 2445.428
flags\t\t: fpu sse2 avx2

processor\t: 1
flags\t\t: of another processor
"""


def test_the_identity_is_what_the_system_tells_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cpu, "DESCRIPTION", tmp_path / "cpuinfo")

    def identity(text: str) -> list[str]:
        (tmp_path / "cpuinfo").write_text(text)
        return cpu.identity()

    mine = identity(CPUINFO)
    assert any("avx2" in line for line in mine)
    assert identity(CPUINFO.replace("2445", "1500")) == mine, "a frequency is no CPU"
    assert identity(CPUINFO.replace("another", "no other")) == mine
    assert identity(CPUINFO.replace("avx2", "avx2 avx512f")) != mine
    assert identity(CPUINFO.replace("AMD", "Intel")) != mine
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+sse2")
    assert identity(CPUINFO) != mine
    for text in ("", "vendor_id: known by its name alone"):
        assert identity(text)[-3:] == [*cpu.cpu()], "LLVM is asked instead"
    (tmp_path / "cpuinfo").unlink()
    assert cpu.identity()[-3:] == [*cpu.cpu()]


def test_what_llvm_says_of_a_cpu_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cpu, "DESCRIPTION", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    told = cpu.cpu()
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(cpu, "_asked", lambda: pytest.fail("asked again"))
        assert cpu.cpu() == told
    for damaged in (b"", whole[:-1], whole + b"+avx512f", b"0" + whole[1:], b"\n".join([b""] * 4)):
        path.write_bytes(damaged)
        assert cpu.cpu() == told
        assert path.read_bytes() == whole
    (tmp_path / "cpuinfo").write_text(CPUINFO.replace("avx2", "avx2 avx512f"))
    monkeypatch.setattr(cpu, "_asked", lambda: ("x86_64", "another", "+avx512f"))
    assert cpu.cpu() == ("x86_64", "another", "+avx512f")
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path / "cpuinfo"))
    assert cpu.cpu() == ("x86_64", "another", "+avx512f"), "nowhere to keep it"


NUMBA_CPU = """
from numba.core.registry import cpu_target
from int8ref.machine.cpu import cpu
assert cpu() == cpu_target.target_context.codegen().magic_tuple(), cpu()
"""


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NUMBA_CPU_NAME": "generic"},
        {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2"},
        {"NUMBA_CPU_NAME": "sandybridge"},
        {"NUMBA_ENABLE_AVX": "0"},
    ],
    ids=str,
)
def test_the_cpu_is_the_one_that_numba_compiles_for(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    run = python(NUMBA_CPU)
    _, errors = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, errors
