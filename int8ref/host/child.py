"""Modules that run as programs of their own, in a child process, which ends with its parent.

    python -m int8ref.host.child FOLDER MODULE ARGUMENT ...

runs a module as `python -m` does, until standard input ends.  The parent holds the other end of
that pipe, and the system closes it when the parent ends, however that happens.  What the parent
writes there is for the module (`given`).  FOLDER, unless it is empty, is then removed.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from int8ref.host import storage

PATIENCE_SECONDS = 0.5
"""How long a child may take to end when its input does."""
NONE: Mapping[str, str | None] = {}

_given: queue.SimpleQueue[int] = queue.SimpleQueue()


def program(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment for a module, with this interpreter and what it can import.

    The current folder is not searched for modules unless this process searches it.  Raises OSError
    where the interpreter is not known.
    """
    if not sys.executable:
        raise OSError("this Python does not know where its interpreter is")
    command = [sys.executable, "-P", "-m", module, *arguments]
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    return command, {**os.environ, "PYTHONPATH": path}


@contextmanager
def running(
    module: str,
    *arguments: str,
    changes: Mapping[str, str | None] = NONE,
    workplace: str = "",
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """A module as a child, which is gone when the block is left, or when this process is.

    `changes`: of the environment; None takes a variable away.  `workplace`: a folder that is of no
    use without this process.  `options`: of `subprocess.Popen`.  Interrupts from the terminal are
    for this process alone.
    """
    command, environment = program(f"{__package__}.child", workplace, module, *arguments)
    changed = {**environment, "INT8REF_CACHE": str(storage.cache_folder()), **changes}
    process = subprocess.Popen(
        command,
        env={name: value for name, value in changed.items() if value is not None},
        stdin=subprocess.PIPE,
        bufsize=0,
        **options,
        **_apart(),
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a child: at its own will, else by force."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)
    process.kill()
    with process:  # which waits, and closes its pipes
        pass


def _apart() -> dict[str, Any]:
    """Arguments of `Popen` for a child that signals from the terminal do not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"process_group": 0}


def given() -> Iterator[int]:
    """The bytes that the parent sends, for ever."""
    while True:
        yield _given.get()


def main(arguments: list[str]) -> None:
    """Run a module, see above."""
    import runpy

    workplace, *sys.argv = arguments
    threading.Thread(target=_end_with_the_parent, args=(workplace,), daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_the_parent(workplace: str) -> None:
    with suppress(OSError):
        while byte := os.read(0, 1):
            _given.put(byte[0])
    if workplace:
        shutil.rmtree(workplace, ignore_errors=True)
    os._exit(1)


if __name__ == "__main__":
    from int8ref.host import child

    child.main(sys.argv[1:])
