"""`python -m tests.kills INPUT`: kills runs at random moments, and lets them go on with --resume.

For each form of the output, one run is not disturbed.  Another run of the same lines is killed with
SIGKILL `--count` times.  After each kill, the next process goes on.  After each kill the whole
results of the output must be the beginning of the undisturbed output, and at the end both must be
the same bytes.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMS: dict[str, tuple[str, list[str]]] = {
    "text": ("out", []),
    "nbest": ("out", ["--beam-size", "4", "--n-best", "4"]),
    "json": ("out", ["--output-format", "json"]),
    "sampled": ("out", ["--temperature", "0.8", "--seed", "7"]),
    "drawn lists": ("out", ["--temperature", "0.8", "--n-best", "3", "--distinct"]),
    "gzip": ("out.gz", []),
    "nbest in xz": ("out.xz", ["--temperature", "0.8", "--n-best", "3"]),
}
"""Name of a form -> the name of the output, and the options."""


class WrongOutputError(Exception):
    """An output is not the beginning of the undisturbed output."""


def killed(command: list[str], output: Path, whole: bytes, count: int, seconds: float) -> int:
    """Kill a run `count` times within `seconds`, and let it end.  Return the number of kills."""
    done = 0
    pause = 2 * seconds / (count + 1)
    while done < count:
        process = subprocess.Popen([*command, "--resume"])
        try:
            process.wait(random.uniform(0, pause))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            done += 1
            _check(output, whole)
            continue
        if process.returncode:
            raise WrongOutputError(f"exit status {process.returncode}")
        break
    subprocess.run([*command, "--resume"], check=True)
    if output.read_bytes() != whole:
        raise WrongOutputError("the end differs")
    return done


def _check(output: Path, whole: bytes) -> None:
    found = output.read_bytes() if output.exists() else b""
    if not whole.startswith(found):
        raise WrongOutputError("the output is not the beginning of the undisturbed output")


def tried(form: str, command: list[str], count: int, folder: Path) -> str:
    """Try one form.  Return what happened, in one line.  Raises `WrongOutputError`."""
    name, options = FORMS[form]
    outputs = folder / f"whole-{name}", folder / f"killed-{name}"
    commands = [[*command, *options, "-o", str(output)] for output in outputs]
    begun = time.monotonic()
    subprocess.run(commands[0], check=True)
    seconds = time.monotonic() - begun
    whole = outputs[0].read_bytes()
    done = killed(commands[1], outputs[1], whole, count, seconds)
    for path in folder.iterdir():
        path.unlink()
    return f"{form}: {done} kills of {count}, {len(whole)} bytes, byte for byte"


def main() -> int:
    """Run the command.  Return 0 if all outputs are right."""
    made = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    made.add_argument("input", type=Path)
    made.add_argument("-m", "--model", default="en-de-tatoeba")
    made.add_argument("--count", type=int, default=50)
    made.add_argument("--form", choices=FORMS, action="append")
    made.add_argument("--backend", default="compiled")
    given = made.parse_args()
    command = [sys.executable, "-m", "int8ref.translate", "--quiet", "--backend", given.backend]
    command += ["-m", given.model, "-i", str(given.input)]
    with tempfile.TemporaryDirectory() as folder:
        for form in given.form or FORMS:
            print(tried(form, command, given.count, Path(folder)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
