"""`python -m tests.large_runs`: watches the memory of a run over many short lines.

Prints the resident memory of the process after each tenth of the lines, and the spread after the
first tenth in megabytes.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from int8ref.commands.resume import count_lines

WORDS = ("the", "cat", "dog", "sat", "on", "a", "mat", "and", "saw", "red", "fish", "we", "like")


def resident(process: int) -> int:
    """Return the resident memory of a process in kilobytes."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def main() -> int:
    """Run the command."""
    made = argparse.ArgumentParser(prog="python -m tests.large_runs", description=__doc__)
    made.add_argument("-m", "--model", default="en-de-tatoeba")
    made.add_argument("--lines", type=int, default=1_000_000)
    made.add_argument("--resume", action="store_true")
    given = made.parse_args()
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in", Path(folder) / "out"
        with source.open("w") as file:
            for _ in range(given.lines):
                file.write(" ".join(draw.choices(WORDS, k=draw.randint(1, 4))) + "\n")
        command = [sys.executable, "-m", "int8ref.translate", "-m", given.model, "--quiet"]
        command += ["-i", str(source), "-o", str(output)] + ["--resume"] * given.resume
        process = subprocess.Popen(command)
        sizes: list[int] = []
        while process.poll() is None:
            time.sleep(0.5)
            done = count_lines(str(output)) if output.exists() else 0
            if done * 10 // given.lines > len(sizes) and process.poll() is None:
                sizes.append(resident(process.pid))
                print(f"{done} lines: {sizes[-1] / 1000:.1f} MB", flush=True)
    print(f"spread: {(max(sizes) - min(sizes)) / 1000:.1f} MB")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
