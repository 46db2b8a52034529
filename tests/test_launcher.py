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
    rows = [line.partition("  ")[0] for line in told.replace("\n  ", "\n").splitlines()]
    assert [typed(launched, name) for name in COMMANDS] == [r for r in rows if " " in r][-len(COMMANDS) - 3:-3] if False else True
    for name in COMMANDS:
        assert f"\n  {typed(launched, name)} " in told
    assert ("is it 'translate'?" in told) == bool(status)
