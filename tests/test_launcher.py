"""The launcher: one table of commands, for `python -m int8ref` and for the script `int8ref`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from int8ref import __main__ as launcher
from int8ref.commands import table
from int8ref.commands.table import COMMANDS, MAIN
from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[1]
SCRIPT = "import sys; from int8ref.__main__ import script; sys.exit(script())"
SLOW = {"import", "report"}
"""Commands of the importer: their parsers list the readers, which need NumPy."""
STARTS = {"int8ref": ["-c", SCRIPT], "python -m int8ref": ["-m", "int8ref"]}
"""How a user starts the launcher, and the same start without an installed script."""


def run(launched: str, *arguments: str | Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, *STARTS[launched], *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def typed(launched: str, name: str) -> str:
    """Return what the overview names."""
    module = COMMANDS[name][0].removesuffix(MAIN)
    return f"int8ref {name}" if launched == "int8ref" else f"python -m {module}"


def test_every_row_is_a_command() -> None:
    for module, about in COMMANDS.values():
        found = import_module(module)
        assert found.parser().prog == f"python -m {module.removesuffix(MAIN)}"
        assert callable(found.main)
        assert about.strip() == about != ""


@pytest.mark.parametrize("launched", STARTS)
@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["transalte", "Tom."]])
def test_the_overview_has_every_command(launched: str, arguments: list[str]) -> None:
    status, out, errors = run(launched, *arguments)
    told, silent = (errors, out) if status else (out, errors)
    assert status == (2 if len(arguments) == 2 else 0)
    assert silent == ""
    for name in COMMANDS:
        assert f"\n  {typed(launched, name)} " in told
    assert ("is it 'translate'?" in told) == bool(status)


@pytest.mark.parametrize("launched", STARTS)
@pytest.mark.parametrize("name", ["translate", "import", "report"])
def test_the_usage_names_what_the_user_typed(launched: str, name: str) -> None:
    status, out, _ = run(launched, name, "--help")
    assert status == 0
    assert out.startswith(f"usage: {launched} {name} ")
    assert f"\n  {launched} {name} " in out.partition("examples:")[2]
    assert "python -m int8ref." not in out
    status, out, errors = run(launched, name, "--no-such-option")
    assert (status, out) == (2, "")
    assert f"\n{launched} {name}: error: " in errors


def test_a_module_is_typed_as_before() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "int8ref.translate", "-h"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"usage: python -m int8ref.translate ")


def test_a_command_runs_as_its_module_does(tiny_file: Path) -> None:
    arguments = ["-m", str(tiny_file), "--backend", "reference", "--scores", "--", "The cat"]
    module = subprocess.run(
        [sys.executable, "-m", "int8ref.translate", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    for launched in STARTS:
        assert run(launched, "translate", *arguments) == (0, module.stdout, module.stderr)
    status, out, errors = run("int8ref", "translate", "-m", "/no/such/model", "Tom.")
    assert (status, out) == (1, "")
    assert errors.startswith("int8ref: error: no model file '/no/such/model'")


def test_the_version() -> None:
    status, out, errors = run("int8ref", "--version")
    assert (status, errors) == (0, "")
    assert out.startswith("int8ref ")
    assert out == run("int8ref", "translate", "--version")[1]


HELP = """
import sys
from int8ref import __main__ as launcher
try:
    launcher.main(sys.argv[1:], "int8ref")
except SystemExit:
    pass
heavy = {"numpy", "numba", "msgspec", "sentencepiece", "weights_import", "importlib.metadata"}
print(sorted(heavy & set(sys.modules)), "argparse" in sys.modules)
"""


@pytest.mark.parametrize(
    ("arguments", "parses"),
    [(["--help"], False), *(([name, "--help"], True) for name in COMMANDS if name not in SLOW)],
)
def test_help_imports_nothing_that_takes_long(arguments: list[str], parses: bool) -> None:
    command = [sys.executable, "-c", HELP, *arguments]
    out = subprocess.check_output(command, cwd=ROOT, text=True, timeout=TIMEOUT)
    assert out.splitlines()[-1] == f"[] {parses}"


def test_the_script_is_the_launcher() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"int8ref": "int8ref.__main__:script"}
    assert callable(launcher.script)


@pytest.mark.parametrize("name", ["translate", "import"])
def test_the_script_tells_a_missing_dependency(name: str) -> None:
    """A Python without packages: `-S` hides the folder of installed packages."""
    command = [sys.executable, "-E", "-S", "-c", SCRIPT, name, "x", "-o", "y"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("int8ref: error: the package ")


def test_the_program_of_a_command_without_a_row_is_its_module() -> None:
    assert table.program("int8ref.no_such") == "python -m int8ref.no_such"
