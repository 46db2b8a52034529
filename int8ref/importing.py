"""Imports a checkpoint into the cache, by the importer as a child: the engine has no floats."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import tempfile
import threading
from pathlib import Path

from int8ref import child, shortlist
from int8ref.errors import ModelError
from int8ref.progress import Steps
from int8ref.storage import keep
from int8ref.temporary import temporary_folder

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}
"""Of an import, unless the user says otherwise: the GNU C library hands out memory again, and does
not fetch it from the system for every large array.  It changes no bit."""

_log = logging.getLogger(__name__)


def import_model(name: str, checkpoint: Path, cached: Path) -> Path:
    """Import a checkpoint as a file of the cache.

    The importer writes to a temporary folder.  Where the cache cannot take the file, it stays
    there, and lasts as long as this process.  Raises `ModelError`.
    """
    try:
        workplace = temporary_folder(cached.parent)
        made = Path(tempfile.mkdtemp(dir=workplace)) / cached.name
        _run(name, checkpoint, made, workplace)
        lists = shortlist.beside(made)
        kept = not lists.exists() or keep(shortlist.beside(cached), lists.read_bytes())
        return cached if kept and keep(cached, made.read_bytes()) else made
    except OSError as error:
        raise ModelError(f"importing {name} failed: {error}") from None


def _run(name: str, checkpoint: Path, output: Path, workplace: Path) -> None:
    """Run the importer, and log what it tells."""
    unset = {name: value for name, value in ENVIRONMENT.items() if name not in os.environ}
    with child.running(
        "weights_import",
        *(str(checkpoint), "-o", str(output), "--name", name),
        changes={"PYTHONIOENCODING": "utf-8:backslashreplace", **unset},
        workplace=str(workplace),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        lines = _follow(process, f"importing {name}: ")
        if process.wait():
            told = lines[-1] if lines else "it says nothing"
            raise ModelError(f"importing {name} failed (exit status {process.returncode}): {told}")


def _follow(process: subprocess.Popen[bytes], what: str) -> list[str]:
    """Log the lines of a process, each as a step of `what`; the lines."""
    steps, lines = Steps(_log), list[str]()

    def read() -> None:
        assert process.stdout is not None
        for line in io.TextIOWrapper(process.stdout, "utf-8", errors="replace"):
            lines.append(line.rstrip().removeprefix("int8ref: ").removeprefix("error: "))
            steps.tell(logging.INFO, what + lines[-1])
        steps.end()

    threading.Thread(target=read, daemon=True).start()
    steps.follow()
    return lines
