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
STARTS = {"int8ref": ["-c", SCRIPT], "python -m int8ref": ["-m", "int8ref"]}
"""How a user starts the launcher, and the same start without an installed script."""
SLOW = {"import", "report"}
"""Commands of the importer: their parsers list the readers, which need NumPy."""


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


def test_every_row_is_a_command() -> None:
    for module, about in COMMANDS.values():
        found = import_module(module)
        assert found.parser().prog == f"python -m {module.removesuffix(MAIN)}"
        assert callable(found.main)
        assert about.strip() == about != ""


@pytest.mark.parametrize("launched", STARTS)
@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["transalte", "Tom."], [""]])
def test_the_overview_has_every_command(
    launched: str, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    status = launcher.main(arguments, launched)
    out, errors = capfd.readouterr()
    wrong = arguments not in ([], ["--help"], ["-h"])
    told, silent = (errors, out) if wrong else (out, errors)
    assert (status, silent) == (2 if wrong else 0, "")
    for name, (module, about) in COMMANDS.items():
        typed = f"int8ref {name}" if launched == "int8ref" else f"python -m {module}"
        (row,) = (line for line in told.splitlines() if line.endswith(f"  {about}"))
        assert row.split("  ")[1] == typed.removesuffix(MAIN)
    assert ("is it 'translate'?" in told) == ("transalte" in arguments)


@pytest.mark.parametrize(("launched", "name"), [("int8ref", "verify"), (launcher.MODULE, "score")])
def test_the_usage_names_what_the_user_typed(launched: str, name: str) -> None:
    status, out, _ = run(launched, name, "--help")
    assert status == 0
    assert out.startswith(f"usage: {launched} {name} ")
    assert f"\n  {launched} {name} " in out.partition("examples:")[2]
    assert not [module for module, _ in COMMANDS.values() if module.removesuffix(MAIN) in out]


def test_a_program_is_named_as_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_launcher", "")
    assert table.program("weights_import.report") == "python -m weights_import.report"
    table.called("int8ref")
    assert table.program("weights_import.report") == "int8ref report"
    assert table.program("weights_import") == "int8ref import"


def test_an_error_of_usage_names_what_the_user_typed() -> None:
    status, out, errors = run("int8ref", "score", "--no-such-option")
    assert (status, out) == (2, "")
    assert "\nint8ref score: error: " in errors


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
    assert " ||| F0= " in module.stdout
    for launched in STARTS:
        assert run(launched, "translate", *arguments) == (0, module.stdout, module.stderr)


def test_the_statuses_are_those_of_the_commands() -> None:
    status, out, errors = run("int8ref", "translate", "-m", "/no/such/model", "Tom.")
    assert (status, out) == (1, "")
    assert errors.startswith("int8ref: error: no model file '/no/such/model'")


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert launcher.main(["--version"]) == 0
    out, errors = capfd.readouterr()
    assert (out.split(" ")[0], errors) == ("int8ref", "")


HELP = """
import sys
from int8ref import __main__ as launcher
heavy = {"numpy", "numba", "msgspec", "sentencepiece", "weights_import", "importlib.metadata"}
launcher.main(["--help"], "int8ref")
assert "argparse" not in sys.modules
for name in sys.argv[1:]:
    try:
        launcher.main([name, "--help"], "int8ref")
    except SystemExit as end:
        assert not end.code
    else:
        raise AssertionError(name)
    assert not heavy & set(sys.modules), (name, heavy & set(sys.modules))
"""


def test_help_imports_nothing_that_takes_long() -> None:
    names = [name for name in COMMANDS if name not in SLOW]
    command = [sys.executable, "-c", HELP, *names]
    out = subprocess.check_output(command, cwd=ROOT, text=True, timeout=TIMEOUT)
    assert out.count("usage: int8ref ") == len(names)


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


def test_closed_output_is_an_error_in_one_line() -> None:
    command = f'"{sys.executable}" -m int8ref --help >&-'
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert done.stderr.startswith(b"int8ref: error: ")
    assert done.stderr.count(b"\n") == 1
