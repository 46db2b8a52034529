"""The code of the machine in the cache: kept, replaced when outdated, and safe after failures."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from int8ref.host import child, cpu, installed
from int8ref.machine.toolchain import compilers, image, native, objects, sources
from int8ref.machine.toolchain.objects import ObjectFile
from tests.helpers.engines import requests
from tests.helpers.native_cache import REFERENCE, Cache, new_cache, small_part
from tests.helpers.processes import TIMEOUT, python, until


@pytest.fixture(name="cache")
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    return new_cache(tmp_path, monkeypatch)


def test_compiled_code_is_kept(cache: Cache, caplog: pytest.LogCaptureFixture) -> None:
    assert cache.works()
    assert cache.compiled == 1
    assert "compiling for this CPU" in caplog.text
    assert cache.kept() == [cache.file]
    caplog.clear()
    assert cache.works()
    assert cache.compiled == 1
    assert not caplog.text


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "truncated": lambda whole: whole[:-1],
    "half": lambda whole: whole[: len(whole) // 2],
    "longer": lambda whole: whole + b"\0",
    "one bit": lambda whole: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:],
    "name": lambda whole: whole[:60] + b"X" + whole[61:],
    "no magic": lambda whole: b"X" + whole[1:],
    "other": lambda whole: b"\x7fELF" * 1000,
    "sealed": lambda whole: objects.MAGIC + hashlib.sha256(b"other").digest() + b"other",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_code_is_compiled_again(cache: Cache, damage: Callable[[bytes], bytes]) -> None:
    assert cache.works()
    good = cache.file.read_bytes()
    cache.file.write_bytes(damage(good))
    assert cache.works()
    assert cache.compiled == 2
    assert cache.file.read_bytes() == good


def test_code_of_another_digest_is_left_alone(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache.works()
    other = cache.folder / f"machine-{'0' * 32}.code"
    cache.file.rename(other)
    assert cache.works()
    assert cache.compiled == 2
    assert cache.kept() == sorted([cache.file, other])


def test_the_digest_covers_sources_and_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = sources.digest()
    assert sources.digest() == mine
    with monkeypatch.context() as patch:
        patch.setenv("NUMBA_CPU_FEATURES", "+sse2")
        assert sources.digest() != mine
    with monkeypatch.context() as patch:
        patch.setenv("NUMBA_CPU_NAME", "generic")
        assert sources.digest() != mine
    root = installed.PACKAGE
    for path in root.rglob("*.py"):
        copy = tmp_path / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.setattr(installed, "PACKAGE", tmp_path)
    assert sources.digest() == mine
    told = (tmp_path / "kernels" / "ssru.py").read_bytes().replace(b'"""', b'"""Yes, ', 1)
    (tmp_path / "kernels" / "ssru.py").write_bytes(told + b"\n# and a comment\n")
    assert sources.digest() == mine, "no text for people changes code"
    for name in (
        "spec/arithmetic.py",
        "kernels/ssru.py",
        "kernels/gemm/tile.py",
        "abi/frame.py",
        "search/length.py",
        "search/sampling.py",
    ):
        before = sources.digest()
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b"\nNEW = 1\n")
        assert sources.digest() != before, name
    (tmp_path / "translate.py").write_bytes(b"")
    before = sources.digest()
    (tmp_path / "kernels" / "new_op.py").write_bytes(b"")
    assert sources.digest() != before


@pytest.fixture
def fresh_digest() -> Iterator[Callable[[], str]]:
    """A function that returns `sources.digest` as a new process computes it."""

    def digest() -> str:
        cpu.compilers.cache_clear()
        return sources.digest()

    yield digest
    cpu.compilers.cache_clear()


def test_the_digest_covers_the_compilers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_digest: Callable[[], str]
) -> None:
    mine = fresh_digest()
    versions = {name: cpu.installed.version(name) for name in ("numba", "llvmlite")}
    for name in versions:
        with monkeypatch.context() as patch:
            patch.setattr(cpu.installed, "version", {**versions, name: "1"}.__getitem__)
            assert fresh_digest() != mine, name
    for content in (b"", b"another build"):
        library = tmp_path / "llvmlite" / "binding" / "libllvmlite.so"
        library.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "llvmlite" / "__init__.py").touch()
        library.write_bytes(content)
        with monkeypatch.context() as patch:
            spec = importlib.util.spec_from_file_location(
                "llvmlite",
                tmp_path / "llvmlite" / "__init__.py",
                submodule_search_locations=[str(tmp_path / "llvmlite")],
            )
            patch.setattr(cpu, "find_spec", lambda name, spec=spec: spec)
            assert fresh_digest() != mine
            mine = fresh_digest()


@pytest.mark.parametrize("obstacle", ["a file", "a folder in a file", "the file is a folder"])
def test_works_without_a_folder_to_write_to(
    cache: Cache, caplog: pytest.LogCaptureFixture, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if obstacle == "the file is a folder":
        cache.file.mkdir(parents=True)
    else:
        cache.folder.write_text("not a folder")
        if obstacle == "a folder in a file":
            monkeypatch.setenv("INT8REF_CACHE", str(cache.folder / "below"))
    caplog.set_level(logging.WARNING)
    assert cache.works()
    assert cache.compiled == 1
    assert caplog.text.count("nothing can be kept in the cache folder") == 1
    if cache.folder.is_dir():
        assert cache.kept() == [cache.file], "nothing is left lying about"


# Several processes compile at once.

HELPER = """#!{python}
import os, sys, time
from int8ref.machine.toolchain.compilers import send
from int8ref.machine.toolchain.objects import ObjectFile
send(sys.stdout.buffer, 40)
while byte := os.read(0, 1):
    time.sleep(0.01)
    send(sys.stdout.buffer, ObjectFile(f"{{byte[0]}} {{os.getpid()}}", b"code", [], []))
"""


def test_processes_share_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "python"
    helper.write_text(HELPER.format(python=sys.executable))
    helper.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(helper))
    told: list[tuple[int, int]] = []
    parts = compilers.compile_elsewhere(3, lambda *numbers: told.append(numbers))
    numbers, processes = zip(*(part.name.split() for part in parts), strict=True)
    assert sorted(map(int, numbers)) == list(range(40))
    assert len(set(processes)) == 3
    assert sorted(told) == [(done, 40) for done in range(1, 41)]


FAILING = {
    "there is none": None,
    "it fails": "#!/bin/sh\nexit 1\n",
    "it writes something else": "#!/bin/sh\necho something else\n",
    "it writes half of it": "#!/bin/sh\nprintf '\\001\\000\\000'\n",
    "it writes another type": "#!/bin/sh\nprintf '\\001\\000\\000\\000\\000\\000\\000\\000\\300'\n",
}


@pytest.mark.parametrize("script", FAILING.values(), ids=FAILING)
def test_this_process_compiles_where_another_cannot(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from int8ref.machine.toolchain import build

    part = small_part("add i64 40, 2")
    monkeypatch.setattr(build, "compile_parts", lambda numbers: [part])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    if script is not None:
        (tmp_path / "python").write_text(script)
        (tmp_path / "python").chmod(0o755)
    assert native.compile_machine() == objects.encode([part])


# Both forms of cached code.


@pytest.mark.parametrize("images", [True, False])
def test_images_and_objects_run(images: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if images and not image.supported():
        pytest.skip("no images on this machine")
    part = small_part("add i64 40, 2")
    monkeypatch.setattr(image, "supported", lambda: images)
    code = objects.encode([part])
    assert isinstance(objects.decode(code), image.Image) == images
    run, kept = native._load(code)
    word = ctypes.c_int64()
    run(ctypes.addressof(word))
    assert word.value == 42
    del run, kept


@pytest.mark.skipif(not image.supported(), reason="no images on this machine")
def test_what_cannot_be_an_image_is_kept_as_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(objects: Sequence[bytes], entry: str) -> image.Image:
        raise image.LinkError("relocation of an unknown kind")

    part = small_part("add i64 40, 2")
    monkeypatch.setattr(image, "link", refuse)
    assert objects.decode(objects.encode([part])) == objects.Objects([part.code])


def test_parts_that_miss_a_function_are_refused() -> None:
    part = msgspec.structs.replace(small_part("add i64 40, 2"), needed=["int8ref.part.missing"])
    with pytest.raises(RuntimeError, match=r"int8ref\.part\.missing"):
        objects.encode([part])


def test_code_that_is_begun_ahead_is_told_when_it_is_waited_for(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    native._loaded.clear()
    native.prepare()
    until(cache.file.exists)
    assert not caplog.text
    native.prepare()
    native.machine()
    native.prepare()
    assert cache.compiled == 1
    assert [record.message for record in caplog.records] == [
        f"{native.COMPILING} (only now, some 10 to 60 seconds) ...",
        f"{native.COMPILING}: done",
    ]


def test_a_compiler_that_crashes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash ends the child process of the compiler, not this process."""
    (tmp_path / "python").write_text("#!/bin/sh\nkill -SEGV $$\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(objects.CompilerError, match="ended by SIGSEGV; --backend reference"):
        native.compile_machine()


SETTINGS = {
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_OPT": "0",
    "NUMBA_BOUNDSCHECK": "1",
    "NUMBA_DEBUG": "1",
    "NUMBA_DUMP_ASSEMBLY": "1",
}


def test_settings_of_numba_change_no_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The digest does not cover these settings.  Numba's file of settings has no effect either."""

    def last_part() -> ObjectFile:
        with child.running(
            "int8ref.machine.toolchain.build",
            changes=compilers.settings(),
            cwd=Path(native.__file__).parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin is not None
            total = compilers.receive(process.stdout, int)
            process.stdin.write(bytes([total - 1]))
            return compilers.receive(process.stdout, ObjectFile)

    usual = last_part()
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".numba_config.yaml").write_text("opt: 0\ndisable_jit: 1\n")
    monkeypatch.chdir(tmp_path)
    assert last_part() == usual


def test_without_other_processes_and_numba_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from numba.core import config

    monkeypatch.setattr(sys, "executable", None)
    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    with pytest.raises(
        objects.CompilerError, match="NUMBA_DISABLE_JIT is set; --backend reference"
    ):
        native.compile_machine()


WITHOUT_COMPILER = """
import sys
from int8ref.engines.backends import load_engine
from int8ref.files.model_file import load
from int8ref.search.request import Request
model = load(sys.argv[1])
engine = load_engine(model.program, model.tensors, "compiled", model.types, model.digest)
print(engine.greedy([Request([5, 9, 3, 0], 9), Request([7, 0], 9)]))
print([name for name in sys.modules if name.split(".")[0] in ("numba", "llvmlite")])
"""


@pytest.mark.skipif(not image.supported(), reason="LLVM loads the code on this machine")
def test_kept_code_needs_no_compiler(cache: Cache, tiny_file: Path) -> None:
    """Loading cached code and cached packed weights needs no compiler."""
    assert cache.works()
    python(WITHOUT_COMPILER, tiny_file).communicate(timeout=TIMEOUT)
    run = python(WITHOUT_COMPILER, tiny_file)
    out, errors = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, errors
    assert out.splitlines() == [
        str(REFERENCE.greedy(requests([[5, 9, 3, 0], [7, 0]], [9, 9]))),
        "[]",
    ]
