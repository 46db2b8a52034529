"""The blocks of code on a page, and how each of them is run.

All blocks of a page run in their order, in one new folder:

    sh       a shell runs the commands.  A command that fails ends the test.
    console  a line with `$ ` is a command, and the lines after it are its output.  The output on
             stdout and stderr must be the same.  `...` stands for any text.
    python   with `>>>`, the results must be the same.  Otherwise the program must end well.

A comment on the lines before a block says more:

    <!-- not run: REASON -->            the block is not run
    <!-- not run from here: REASON -->  nor any later block of the page
    <!-- needs: PROGRAM ... -->         the page is skipped if a program is not installed
    <!-- slow -->                       only the slow tests run the block

`tests.helpers.stand_ins` makes the files that a page reads and that a reader brings along.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.processes import TIMEOUT

ROOT = Path(__file__).parents[2]
READMES = ("benchmarks", "examples/rtl", "reference_c", "training")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *(ROOT / name / "README.md" for name in READMES),
    ]
)
RUN = ("sh", "console", "python")
"""Languages of blocks that are run."""
SHOWN = ("", "c", "json", "text", "verilog")
"""Languages of blocks that are only shown."""

FENCED = re.compile(
    r"^(?P<fence>`{3,}|:{3,})(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^(?P=fence)$", re.M | re.S
)
_MARK = re.compile(r"<!-- (?P<kind>not run|not run from here|needs|slow)(?:: (?P<text>.+?))? -->")


@dataclass(frozen=True)
class Snippet:
    """A block of code.

    reason   why the block is not run; empty if it is run
    needs    programs that the block needs
    slow     True if only the slow tests run the block
    """

    language: str
    code: str
    line: int
    reason: str = ""
    needs: tuple[str, ...] = ()
    slow: bool = False

    @property
    def steps(self) -> list[tuple[str, str]]:
        """The commands of a block of a console, with their outputs."""
        parts = re.split(r"^\$ ", self.code, flags=re.M)
        assert not parts[0], f"line {self.line}: a block of a console begins with `$ `"
        found = []
        for part in parts[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command += f"\n{more}"
            found.append((command, output))
        return found

    @property
    def commands(self) -> str:
        """The commands of a block of a shell or a console."""
        if self.language == "console":
            return "".join(f"{command}\n" for command, _ in self.steps)
        return self.code


def snippets(text: str) -> Iterator[Snippet]:
    """Yield the blocks of code of a page that are run, or that a mark excludes."""
    end, given = 0, ""
    for match in FENCED.finditer(text):
        marks = {m["kind"]: m["text"] or "" for m in _MARK.finditer(text[end : match.start()])}
        given = marks.get("not run from here", given)
        end = match.end()
        if match["language"] in RUN:
            yield Snippet(
                match["language"],
                match["code"],
                text.count("\n", 0, match.start()) + 1,
                marks.get("not run", given),
                tuple(marks.get("needs", "").split()),
                "slow" in marks,
            )


def languages(text: str) -> set[str]:
    """Return the languages of all blocks of code of a page, without directives of the site."""
    return {m["language"] for m in FENCED.finditer(text) if not m["language"].startswith("{")}


def shown(text: str) -> list[str]:
    """Return the commands in blocks that are only shown."""
    blocks = (m["code"] for m in FENCED.finditer(text) if m["language"] in ("", "text"))
    return [line for code in blocks for line in code.splitlines() if line.startswith("$ ")]


class Session:
    """Runs the blocks of a page in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {}

    def run(self, snippet: Snippet) -> None:
        """Run a block.  Raise AssertionError that names its line if it fails."""
        if snippet.language == "sh":
            self._succeed(snippet, self._shell(snippet.code))
        elif snippet.language == "console":
            for command, output in snippet.steps:
                done = self._shell(command)
                self._succeed(snippet, done)
                ended = done.stdout and done.stdout.removesuffix("\n") + "\n"
                self._same(snippet, output, ended)
        elif ">>>" in snippet.code:
            self._examples(snippet)
        else:
            command = [sys.executable, "-W", "error", "-c", snippet.code]
            self._succeed(snippet, self._process(command))

    def _shell(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Run commands, and remember the folder in which they end."""
        place = self.folder / ".place"
        ended = f"pwd > '{place}'\n"
        done = self._process(["sh", "-e", "-c", f"{commands}\n{ended}"])
        if place.exists():
            self.folder = Path(place.read_text("utf-8").rstrip("\n"))
            place.unlink()
        return done

    def _process(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def _examples(self, snippet: Snippet) -> None:
        """Run examples of Python in this process.  All examples of a page share their names."""
        name = f"line {snippet.line}"
        test = doctest.DocTestParser().get_doctest(snippet.code, self.names, name, name, 0)
        told: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            outcome = runner.run(test, out=told.append, clear_globs=False)
        finally:
            os.chdir(before)
        self.names = test.globs
        assert outcome.failed == 0, "".join(told)

    @staticmethod
    def _succeed(snippet: Snippet, done: subprocess.CompletedProcess[str]) -> None:
        assert done.returncode == 0, f"line {snippet.line}: {done.stdout}"

    @staticmethod
    def _same(snippet: Snippet, expected: str, got: str) -> None:
        same = doctest.OutputChecker().check_output(expected, got, doctest.ELLIPSIS)
        assert same, f"line {snippet.line}: the page shows\n{expected}\nthe command prints\n{got}"


def missing_programs(found: list[Snippet]) -> list[str]:
    """Return the programs that blocks need and that are not installed."""
    return sorted({name for s in found for name in s.needs if shutil.which(name) is None})
