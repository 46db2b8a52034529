"""Imports a checkpoint into the cache, in a child process, because the engine has no floats."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from pathlib import Path
from typing import IO

from int8ref.errors import ModelError
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


def import_model(name: str, checkpoint: Path, cached: Path) -> Path:
    """Import a checkpoint as a file of the cache.  Return the path of the file.

    The importer writes into a temporary folder.  If the cache cannot store the file, the file stays
    in this folder until the process ends.  Raises `ModelError`.
    """
    try:
        workplace = temporary.make(cached.parent)
        try:
            made = workplace / cached.name
            _run(name, checkpoint, made)
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


def _run(name: str, checkpoint: Path, output: Path) -> None:
    """Run the importer, and log its messages."""
    unset = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    with child.running(
        "weights_import",
        *(str(checkpoint), "-o", str(output), "--name", name),
        changes={"PYTHONIOENCODING": "utf-8:backslashreplace", **unset},
        workplace=str(output.parent),
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
