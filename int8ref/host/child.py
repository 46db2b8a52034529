"""Runs a module in a child process that ends when its parent ends.

    python -m int8ref.host.child FOLDER MODULE ARGUMENT ...

This command runs MODULE as `python -m` does, until standard input ends.  The parent holds the other
end of the pipe.  The operating system closes the pipe when the parent ends, also after a kill.
`given` yields the bytes that the parent writes.  At the end, the child removes FOLDER, unless
FOLDER is empty.
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
"""Time that a child has to end after its standard input ended.  Then it is killed."""
NONE: Mapping[str, str | None] = {}

_given: queue.SimpleQueue[int] = queue.SimpleQueue()


def program(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment that run a module with this interpreter.

    The child can import the same modules as this process.  It searches the current folder for
    modules only if this process searches it.  Raises OSError if the path of the interpreter is
    unknown.
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
    """Run a module as a child.  The child ends when the block ends, or when this process ends.

    changes    changes of the environment; None removes a variable
    workplace  folder that is useless without this process, or ""
    options    options of `subprocess.Popen`

    Interrupts from the terminal reach only this process.
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
    """End a child: close its standard input, wait, then kill it."""
    assert process.stdin is not None
    process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_SECONDS)
    process.kill()
    with process:  # waits for the child and closes its pipes
        pass


def _apart() -> dict[str, Any]:
    """Return arguments of `Popen` for a child that receives no signals from the terminal."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"process_group": 0}


def given() -> Iterator[int]:
    """Yield the bytes that the parent sends.  The iterator never ends."""
    while True:
        yield _given.get()


def main(arguments: list[str]) -> None:
    """Run a module.  The arguments are FOLDER, MODULE and the arguments of the module."""
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
