"""Imports checkpoints in a child process, because the engine has no floats."""

from __future__ import annotations

import logging
import os
import reprlib
import subprocess
import threading
from pathlib import Path
from typing import IO

from int8ref.errors import ModelError, WrongTypeError
from int8ref.files import shortlist
from int8ref.host import child, temporary
from int8ref.host.progress import Steps
from int8ref.host.storage import keep

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}
"""Environment of an import, unless the user sets these variables.

The GNU C library then keeps freed memory.  Otherwise it requests memory from the operating system
for every large array.  The variables change no bit.
"""

_log = logging.getLogger(__name__)


def import_model(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str],
    **options: str | int | bool | os.PathLike[str] | None,
) -> Path:
    """Import a checkpoint as a model file.  Return the path of the file, which `load` takes.

    This runs `python -m weights_import CHECKPOINT -o OUTPUT` in a process of its own, which ends
    with this process.  The logger `int8ref` reports the steps.

    checkpoint  a file, or a folder that holds one checkpoint
    output      the `.safetensors` file to write.  It appears when it is complete.
    options     options of the command by their names, with `_` in the place of `-`, such as
                languages="en-pt" or calibration="news.txt".  True is an option without a value,
                such as compact=True.  None and False mean the default.

    Raises these errors, all of which are `UserError`:

    WrongTypeError  checkpoint or output is neither a str nor a path, or an option has another type
    ModelError      the import fails.  The message is the message of the command.
    """
    names = {"checkpoint": checkpoint, "output": output}
    paths = [os.path.abspath(_text(name, value)) for name, value in names.items()]
    given = [word for name, value in options.items() for word in _option(name, value)]
    what = os.path.basename(paths[0])
    try:
        _run(what, [paths[0], "-o", paths[1], *given])
    except OSError as error:
        raise ModelError(f"importing {what} failed: {error}") from None
    return Path(paths[1])


def _option(name: str, value: object) -> list[str]:
    """Return the words of an option."""
    if value is None or value is False:
        return []
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    return [f"{option}={value if type(value) is int else _text(name, value)}"]


def _text(name: str, value: object) -> str:
    """Return a text or a path as text.  Raises `WrongTypeError` that names the argument."""
    if isinstance(value, str | os.PathLike):
        return os.fsdecode(value)
    raise WrongTypeError(f"{name} is {reprlib.repr(value)}, not a str or a path")


def import_cached(name: str, checkpoint: Path, cached: Path) -> Path:
    """Import a checkpoint as a file of the cache.  Return the path of the file.

    The importer writes into a temporary folder.  If the cache cannot store the file, the file stays
    in this folder until the process ends.  Raises `ModelError`.
    """
    try:
        workplace = temporary.make(cached.parent)
        try:
            made = workplace / cached.name
            _run(name, [str(checkpoint), "-o", str(made), "--name", name], str(workplace))
            kept = _keep(shortlist.beside(made), shortlist.beside(cached)) and _keep(made, cached)
        except BaseException:
            temporary.remove(workplace)
            raise
        if kept:
            temporary.remove(workplace)
        return cached if kept else made
    except OSError as error:
        raise ModelError(f"importing {name} failed: {error}") from None


def _keep(path: Path, cached: Path) -> bool:
    """Copy a file into the cache if the file exists.  Return False if the cache cannot store it."""
    return not path.exists() or keep(cached, path.read_bytes())


def _run(name: str, arguments: list[str], workplace: str = "") -> None:
    """Run the importer, and log its messages.

    `workplace`: folder that is useless without this process, or "".
    """
    unset = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    with child.running(
        "weights_import",
        *arguments,
        changes={"PYTHONIOENCODING": "utf-8:backslashreplace", **unset},
        workplace=workplace,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        lines = _follow(process, f"importing {name}: ")
        if process.wait():
            told = lines[-1] if lines else "it says nothing"
            raise ModelError(f"importing {name} failed (exit status {process.returncode}): {told}")


def _follow(process: subprocess.Popen[bytes], what: str) -> list[str]:
    """Log each line of a process as a step of `what`.  Return the lines."""
    steps, lines = Steps(_log), list[str]()

    def read(output: IO[bytes]) -> None:
        for line in output:
            text = line.decode(errors="replace").rstrip()
            lines.append(text.removeprefix("int8ref: ").removeprefix("error: "))
            steps.tell(logging.INFO, what + lines[-1])
        steps.end()

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    steps.follow()
    return lines
