"""A Python without int8ref: one sentence names the command to type."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from int8ref.host import missing
from tests.helpers.commands import PARSERS

ROOT = Path(__file__).parents[1]
ARGUMENTS = {
    "int8ref.vectors": ["-m", "x", "-o", "y", "z"],
    "int8ref.export": ["-m", "x", "-o", "y"],
    "int8ref.document": ["pyproject.toml", "--from-format", "text", "-o", "y"],
    "int8ref.corpus": ["-m", "x", "y", "-o", "z"],
    "int8ref.list": [],
    "int8ref.info": ["x"],
    "int8ref.prepare": ["x"],
    "weights_import": ["x", "-o", "y"],
}
WITHOUT = {"int8ref.completion"}
"""Commands that need no dependency of int8ref."""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the sources."""
    for name in ("int8ref", "weights_import"):
        ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, bytes, str]:
    """Run a Python without packages in a folder."""
    done = subprocess.run(
        [sys.executable, "-E", "-S", *arguments], cwd=folder, capture_output=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("module", [name for name in PARSERS if name not in WITHOUT])
def test_a_clone_without_its_dependencies(clone: Path, module: str) -> None:
    status, out, errors = run(clone, "-m", module, *ARGUMENTS.get(module, ["-m", "x"]))
    (line,) = errors.splitlines()
    assert (status, out) == (1, b"")
    assert line.startswith("int8ref: error: the package ")
    assert f"is not installed for {sys.executable}: type {sys.executable} -m venv" in line
    assert f'-m pip install "{clone}[models]", and then use {clone}' in line


def test_a_clone_whose_environment_is_not_used(clone: Path) -> None:
    own = clone / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    _, _, errors = run(clone, "-m", "int8ref.translate", "Good morning.")
    assert errors.endswith(f"is not installed for {sys.executable}: type {own} instead\n")


def test_an_installed_package_without_its_dependencies(clone: Path) -> None:
    (clone / "pyproject.toml").unlink()
    _, _, errors = run(clone, "-m", "int8ref.translate", "Good morning.")
    (line,) = errors.splitlines()
    assert "-m pip install " in line
    assert line.rpartition(" ")[2] in missing.DEPENDENCIES.values()


def test_other_errors_have_their_traceback(clone: Path) -> None:
    (clone / "int8ref" / "translate.py").write_text("import no_such_module\n")
    status, _, errors = run(clone, "-m", "int8ref.translate")
    assert status == 1
    assert errors.startswith("Traceback")
    status, _, errors = run(clone, "-c", "import int8ref; int8ref.load")
    assert errors.splitlines()[-1].startswith("ModuleNotFoundError: No module named")


OLD = "import sys; sys.version_info, sys.version = (3, 9, 6), '3.9.6 (default)'; import int8ref"


def test_an_old_python(clone: Path) -> None:
    status, _, errors = run(clone, "-c", OLD)
    assert status == 1
    assert errors.endswith("ImportError: int8ref needs Python 3.11 or later; this is 3.9.6\n")
    as_command = OLD.replace("import int8ref", "sys.argv[0] = '-m'; import int8ref")
    status, _, errors = run(clone, "-c", as_command)
    told = "int8ref: error: int8ref needs Python 3.11 or later; this is 3.9.6"
    assert (status, errors) == (1, f"{told} ({sys.executable})\n")


def test_the_dependencies_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    assert set(missing.DEPENDENCIES.values()) == declared
    assert project["requires-python"] == ">={}.{}".format(*missing.OLDEST)
