"""The CPU that the native code is compiled for: equal to Numba's CPU, found without Numba."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import llvmlite.binding as llvm
import pytest

from int8ref.errors import UserError
from int8ref.host import amx, arm, cpu
from int8ref.kernels.gemm.target import select
from int8ref.machine.toolchain import native, objects
from tests.helpers.processes import TIMEOUT, python

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


GRAVITON2 = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

processor\t: 1
"""  # noqa: E501
PI4 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

processor\t: 1
"""
PI5 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

processor\t: 1
"""  # noqa: E501
M1 = """processor\t: 0
BogoMIPS\t: 48.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 asimddp sha512 asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp flagm2 frint
CPU implementer\t: 0x61
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0x022
CPU revision\t: 1

processor\t: 1
"""  # noqa: E501
LLVM_SAYS = "+neon,+lse,+aes,+crc,+fp-armv8,+sha2"


class Fake:
    """LLVM, the operating system and its description of the CPU on another machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.patch = monkeypatch
        self.file = folder / "cpuinfo"
        monkeypatch.setenv("INT8REF_CACHE", str(folder / "cache"))
        monkeypatch.setattr(cpu, "DESCRIPTION", self.file)
        for name in cpu.SETTINGS:
            monkeypatch.delenv(name, raising=False)

    def llvm(self, triple: str, name: str) -> None:
        features = llvm.FeatureMap({feature[1:]: True for feature in LLVM_SAYS.split(",")})
        for what, value in (
            ("get_process_triple", triple),
            ("get_host_cpu_name", name),
            ("get_host_cpu_features", features),
        ):
            self.patch.setattr(llvm, what, lambda value=value: value)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fake:
    return Fake(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("description", "name", "kernel"),
    [
        (GRAVITON2, "neoverse-n1", "sdot"),
        (PI4, "cortex-a72", "neon"),
        (PI5, "cortex-a76", "sdot"),
        (M1, "apple-m1", "sdot"),
    ],
    ids=["Graviton2", "Raspberry Pi 4", "Raspberry Pi 5", "Apple M1"],
)
def test_linux_tells_of_dot_products(fake: Fake, description: str, name: str, kernel: str) -> None:
    fake.llvm("aarch64-unknown-linux-gnu", name)
    fake.file.write_text(description)
    for _ in ("asked", "kept"):
        triple, found, features = cpu.cpu()
        assert (triple, found) == ("aarch64-unknown-linux-gnu", name)
        assert set(features.split(",")) >= set(LLVM_SAYS.split(","))
        assert select(triple, features).name == kernel


def test_only_64_bit_arm_is_asked(fake: Fake) -> None:
    fake.llvm("armv7l-unknown-linux-gnueabihf", "cortex-a76")
    fake.file.write_text(PI5)
    assert "dotprod" not in cpu.cpu()[2]


@pytest.mark.parametrize(
    ("status", "value", "kernel"), [(0, 1, "sdot"), (0, 0, "neon"), (-1, 1, "neon")]
)
def test_macos_tells_of_dot_products(fake: Fake, status: int, value: int, kernel: str) -> None:
    class Library:
        def sysctlbyname(self, name: bytes, to: Any, size: Any, *new: Any) -> int:
            assert name == b"hw.optional.arm.FEAT_DotProd"
            assert size._obj.value == 4
            to._obj.value = value
            return status

    fake.llvm("arm64-apple-darwin23.4.0", "apple-m1")
    fake.patch.setattr(sys, "platform", "darwin")
    fake.patch.setattr(arm.ctypes, "CDLL", lambda name: Library())
    triple, _, features = cpu.cpu()
    assert select(triple, features).name == kernel


@pytest.mark.parametrize(("value", "kernel"), [(1, "sdot"), (0, "neon")])
def test_windows_tells_of_dot_products(fake: Fake, value: int, kernel: str) -> None:
    present = {43: value}
    library = SimpleNamespace(IsProcessorFeaturePresent=lambda number: present[number])
    fake.llvm("aarch64-pc-windows-msvc", "oryon-1")
    fake.patch.setattr(sys, "platform", "win32")
    fake.patch.setattr(arm.ctypes, "windll", SimpleNamespace(kernel32=library), raising=False)
    assert select(*cpu._asked()[::2]).name == kernel


def test_llvm_that_cannot_tell(fake: Fake) -> None:
    def refuse() -> None:
        raise RuntimeError("failed to get host cpu features")

    fake.llvm("aarch64-unknown-linux-gnu", "generic")
    fake.patch.setattr(llvm, "get_host_cpu_features", refuse)
    fake.file.write_text(PI5)
    assert cpu.cpu()[2] == "+dotprod"


def test_features_that_are_none_are_refused(fake: Fake) -> None:
    fake.patch.setenv("NUMBA_CPU_FEATURES", "+avx2,nonsense")
    with pytest.raises(UserError, match=r"NUMBA_CPU_FEATURES is '\+avx2,nonsense'"):
        cpu.cpu()


@pytest.mark.skipif(not llvm.get_process_triple().startswith("x86_64"), reason="not x86-64")
def test_features_that_the_cpu_lacks_are_refused(fake: Fake) -> None:
    assert cpu.lacking() == []
    fake.patch.setattr(llvm, "get_host_cpu_features", lambda: llvm.FeatureMap({"avx512f": False}))
    fake.patch.setenv("NUMBA_CPU_FEATURES", "+avx2,+avx512f,-avx512vl,+nonsense")
    assert cpu.lacking() == ["avx512f"]
    with pytest.raises(objects.CompilerError, match="has avx512f, which this CPU lacks"):
        native.compile_machine()


HANDED = """
from int8ref.host import cpu
features = cpu._features
cpu._features = lambda *given: features(*given) + ",+handed"
from int8ref.kernels.ir import compile
from numba.core.registry import cpu_target
assert cpu.cpu() == cpu_target.target_context.codegen().magic_tuple(), cpu.cpu()
assert cpu.cpu()[2].endswith(",+handed")
"""


def test_numba_is_handed_what_the_system_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INT8REF_CACHE", str(tmp_path))
    run = python(HANDED)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors


NUMBA_CPU = """
import int8ref.kernels.ir.compile
from numba.core.registry import cpu_target
from int8ref.host.cpu import cpu
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
        {"NUMBA_ENABLE_AVX": "nonsense"},
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


TILES = "+avx2,+amx-int8,-amx-fp16,+amx-tile"


@pytest.mark.parametrize("allowed", [False, True])
def test_matrix_registers_need_a_permission(allowed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, no code uses them, and the code of other processes is another code."""
    monkeypatch.setenv("NUMBA_CPU_NAME", "sapphirerapids")
    monkeypatch.setenv("NUMBA_CPU_FEATURES", TILES)
    monkeypatch.setattr(amx, "allowed", lambda: allowed)
    monkeypatch.setattr(cpu, "_described", lambda: ["flags : avx2 amx_tile amx_int8"])
    assert cpu.cpu()[2] == (TILES if allowed else "+avx2,-amx-int8,-amx-fp16,-amx-tile")
    assert ("tiles" in cpu.identity()) == allowed


def test_nothing_asks_for_matrix_registers_on_another_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amx, "allowed", lambda: pytest.fail("asked"))
    monkeypatch.setattr(cpu, "_described", lambda: ["flags : avx2"])
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2")
    assert cpu.cpu()[2] == "+avx2"
    assert "tiles" not in cpu.identity()


@pytest.mark.skipif(sys.platform == "linux", reason="Linux has the system call")
def test_other_systems_have_no_permission() -> None:
    assert not amx.allowed()
