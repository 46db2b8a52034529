"""`python -m benchmarks.cluster`: times a corpus on a local cluster, with 1 worker and with more.

Both outputs must be the same bytes.  The time contains the start of the cluster.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    """Return the duration of a command.  Raises `subprocess.CalledProcessError` if it fails."""
    begun = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begun


def main() -> int:
    """Run the benchmark.  Return 0 if both outputs are equal."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    made.add_argument("input", type=Path)
    made.add_argument("-m", "--model", default="en-de-tatoeba")
    made.add_argument("--workers", type=int, default=2)
    given = made.parse_args()
    times, outputs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, given.workers):
            target = Path(folder) / str(workers)
            command = [sys.executable, "-m", "int8ref.corpus", "-q", "-m", given.model]
            command += [str(given.input), "-o", str(target), "--workers", str(workers)]
            times.append(seconds(command))
            outputs.append((target / given.input.name).read_bytes())
            print(f"{workers} workers: {times[-1]:.1f} s", flush=True)
    same = outputs[0] == outputs[1]
    print(f"{times[0] / times[1]:.2f} times; {'equal' if same else 'DIFFERENT'} outputs")
    return not same


if __name__ == "__main__":
    sys.exit(main())
