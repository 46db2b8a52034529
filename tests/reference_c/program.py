"""Compiles the reference in C, and runs it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.helpers import processes
from tests.helpers.processes import TIMEOUT

SOURCES = Path(__file__).parents[2] / "reference_c"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
CHECKED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FAST = ("-O3", "-march=native", "-flto=auto")
COMPILERS = ("gcc", "clang")
Ids = Sequence[int]
_FOLDERS: list[TemporaryDirectory[str]] = []
"""Folders of programs, which the end of the process removes."""
NO_COMPILER = "no C compiler with sanitizers is installed"


@cache
def can(name: str, flags: tuple[str, ...]) -> bool:
    """Return whether a compiler is installed and links a program with some flags.

    A compiler can lack the library of the sanitizers.
    """
    if shutil.which(name) is None:
        return False
    with TemporaryDirectory() as folder:
        command: processes.Command = [name, "-x", "c", *flags, "-o", f"{folder}/a", "-"]
        text = b"int main(void) { return 0; }"
        done = subprocess.run(
            command, input=text, capture_output=True, timeout=TIMEOUT, check=False
        )
    return done.returncode == 0


def compiler(flags: tuple[str, ...] = CHECKED) -> str | None:
    """Return the first compiler that is installed and takes the flags."""
    return next((name for name in COMPILERS if can(name, flags)), None)


@cache
def compiled(name: str, flags: tuple[str, ...] = CHECKED) -> Path:
    """Compile with a compiler.  Return the program."""
    _FOLDERS.append(TemporaryDirectory(prefix="int8ref-c-"))
    program = Path(_FOLDERS[-1].name) / "int8ref_c"
    sources = sorted(SOURCES.glob("*.c"))
    subprocess.run([name, *STRICT, *flags, "-o", program, *sources], check=True, timeout=TIMEOUT)
    return program


def run(
    program: Path, folder: Path, *options: str, text: str = "", timeout: float | None = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [program, folder, *options]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=timeout, check=False
    )


def ids_of(program: Path, folder: Path, texts: Sequence[Ids], *options: str) -> list[list[int]]:
    """Return the token ids, or the rows of an encoder, that the program gives for token ids."""
    lines = "".join(" ".join(map(str, ids)) + "\n" for ids in texts)
    done = run(program, folder, *options, text=lines)
    assert (done.returncode, done.stderr) == (0, "")
    return [[int(word) for word in line.split()] for line in done.stdout.split("\n")[:-1]]
