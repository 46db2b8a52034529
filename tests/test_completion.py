"""Completion of command lines: what a shell asks, and what it gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from int8ref import completion
from int8ref.commands.completing import SHELLS
from int8ref.commands.table import COMMANDS
from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[1]
SCRIPT = "import sys; from int8ref.__main__ import script; sys.exit(script())"

pytest.importorskip("argcomplete", reason="the extra completion is not installed")


def completed(line: str, folder: Path) -> list[str]:
    """Return the completions of a line, as a shell asks for them."""
    out = folder / "out"
    variables = {
        "COMP_LINE": line,
        "COMP_POINT": str(len(line.encode())),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    }
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **variables},
        cwd=folder,
        timeout=TIMEOUT,
        check=True,
    )
    return out.read_text().split("\n")


def test_commands_options_choices_models_and_files(tmp_path: Path) -> None:
    (tmp_path / "encyclopedia.txt").touch()
    assert set(completed("int8ref ", tmp_path)) == {*COMMANDS, "-h", "--help"}
    assert completed("int8ref translate --align", tmp_path) == ["--alignment"]
    assert completed("int8ref score --backend ", tmp_path) == ["compiled", "reference"]
    assert completed("int8ref translate -m en-", tmp_path) == ["en-pt", "en-de-tatoeba"]
    assert completed("int8ref embed -i ency", tmp_path) == ["encyclopedia.txt"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_code_of_each_shell(shell: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert completion.main([shell]) == 0
    out, errors = capfd.readouterr()
    assert "int8ref" in out
    assert errors == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_read_the_code(
    shell: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert completion.main([shell]) == 0
    (tmp_path / "code").write_text(capfd.readouterr().out)
    subprocess.run([shell, "-n", "code"], cwd=tmp_path, check=True, timeout=TIMEOUT)


def test_without_the_library_the_command_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    assert completion.main(["bash"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("-m pip install 'int8ref[completion]'")
