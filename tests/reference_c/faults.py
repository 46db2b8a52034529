"""`python -m tests.reference_c.faults FOLDER...`: measures which vectors find faults in C.

Each fault of `faults.txt` is put into the reference in C by itself.  A fault is found if its
program reports a difference or an error for the vectors of a folder.  The command counts the faults
that the folders find, and lists the faults that no folder finds.  It ends with the status 1 if a
fault is not found, unless the list marks it as equivalent.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.helpers.processes import TIMEOUT
from tests.reference_c.program import SOURCES, compiler

FLAGS = ("-std=c99", "-O1", "-w")
LONGEST = 120
"""Seconds after which a program with a fault counts as found, because it does not end."""
LIST = Path(__file__).with_name("faults.txt")


class Fault(NamedTuple):
    """One change of one function.  `equivalent`: why no input shows the fault, else empty."""

    function: str
    old: str
    new: str
    equivalent: str = ""

    def __str__(self) -> str:
        return f"{self.function}: {self.old} -> {self.new}"


def faults() -> list[Fault]:
    """Return all faults of the list."""
    lines = LIST.read_text("ascii").splitlines()
    return [Fault(*line.split(" | ")) for line in lines if line and not line.startswith("#")]


class FaultError(ValueError):
    """A fault that does not fit the reference."""


def changed(fault: Fault, sources: dict[str, str]) -> tuple[str, str]:
    """Return the file of the function, and its text with the fault."""
    head = re.compile(rf"^\w[\w *]*\b{fault.function}\([^;]*?\)\s*{{", re.MULTILINE)
    for name, text in sources.items():
        if found := head.search(text):
            line = text.find("\n", found.start())
            whole = text[found.start() : line].endswith("}")
            end = line if whole else text.find("\n}", found.start())
            body = text[found.start() : end]
            if fault.old not in body:
                raise FaultError(f"{fault.function} has no {fault.old!r}")
            return name, text[: found.start()] + body.replace(fault.old, fault.new, 1) + text[end:]
    raise FaultError(f"there is no function {fault.function}")


class Bench:
    """Builds the reference with a fault, and runs it on folders of vectors."""

    def __init__(self, folder: Path, vectors: Sequence[Path]) -> None:
        name = compiler(FLAGS)
        assert name is not None, "no C compiler is installed"
        self._compile = (name, *FLAGS, f"-I{SOURCES}")
        self._folder, self._vectors = folder, vectors
        self._sources = {path.name: path.read_text() for path in sorted(SOURCES.glob("*.c"))}
        for source in self._sources:
            self._run([*self._compile, "-c", SOURCES / source, "-o", folder / f"{source}.o"])

    def finders(self, number: int, fault: Fault) -> list[int]:
        """Return the first folder that finds a fault, by its number, or nothing."""
        source, text = changed(fault, self._sources)
        path = self._folder / f"{number}.c"
        path.write_text(text)
        program = path.with_suffix("")
        others = [self._folder / f"{other}.o" for other in self._sources if other != source]
        self._run([*self._compile, path, *others, "-o", program])
        for at, folder in enumerate(self._vectors):
            if self._differs(program, folder):
                return [at]
        return []

    def _differs(self, program: Path, folder: Path) -> bool:
        try:
            done = subprocess.run(
                [program, folder], capture_output=True, timeout=TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired:
            return True
        return done.returncode != 0

    def _run(self, command: Sequence[str | Path]) -> None:
        subprocess.run(command, check=True, timeout=TIMEOUT, capture_output=True)


def measure(vectors: Sequence[Path], chosen: Sequence[Fault]) -> Iterator[tuple[Fault, list[int]]]:
    """Yield each fault with the folder that finds it."""
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        bench = Bench(Path(folder), vectors)
        yield from zip(chosen, pool.map(bench.finders, range(len(chosen)), chosen), strict=True)


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", nargs="+", type=Path, help="folders of vectors, in this order")
    parser.add_argument("--function", help="only faults of this function")
    given = parser.parse_args(arguments)
    chosen = [fault for fault in faults() if given.function in (None, fault.function)]
    real = [fault for fault in chosen if not fault.equivalent]
    finds, alive = [0] * len(given.vectors), 0
    for fault, found in measure(given.vectors, chosen):
        for at in found:
            finds[at] += not fault.equivalent
        if bool(found) == bool(fault.equivalent):
            alive += not found
            print(f"{'marked as equivalent, but found' if found else 'alive'}: {fault}", flush=True)
    print(f"{len(real)} faults, and {len(chosen) - len(real)} equivalent ones")
    for at in range(len(finds)):
        print(f"{sum(finds[: at + 1])} found by {', '.join(map(str, given.vectors[: at + 1]))}")
    return bool(alive)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
