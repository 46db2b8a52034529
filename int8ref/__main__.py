"""The launcher of the commands: `int8ref COMMAND`, or `python -m int8ref COMMAND`.

It imports the module of one command, because the start must be fast.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from int8ref.commands.table import COMMANDS, MAIN, called
from int8ref.host import missing

SCRIPT, MODULE = "int8ref", "python -m int8ref"
ASKED = "_ARGCOMPLETE"
"""The environment variable of a shell that asks for completions: see `commands.completing`."""


def main(arguments: list[str], launcher: str = MODULE) -> int:
    """Run a command.  Return its exit status, or 2 for an unknown command.

    `launcher`: how the user started the launcher.
    """
    name, *rest = arguments or ["--help"]
    if name in COMMANDS:
        called(launcher)
        return run(COMMANDS[name][0], rest)
    if name in ("-h", "--help"):
        return _answer(overview(launcher))
    if name == "--version":
        from int8ref.host import installed

        return _answer(f"int8ref {installed.ours()}")
    from int8ref.text.streams import tell

    tell(f"int8ref: error: there is no command {name!r} here{_close(name)}\n{overview(launcher)}\n")
    return 2


def run(module: str, arguments: list[str]) -> int:
    """Run the module of a command in this process."""
    from int8ref.commands import command

    command.begin()
    return int(import_module(module).main(arguments))


def overview(launcher: str) -> str:
    """Return the list of the commands, as the user types them."""
    if launcher == SCRIPT:
        typed = {name: f"{SCRIPT} {name}" for name in COMMANDS}
    else:
        typed = {name: f"python -m {COMMANDS[name][0].removesuffix(MAIN)}" for name in COMMANDS}
    width = max(map(len, typed.values()))
    rows = [f"  {typed[name]:{width}}  {about}" for name, (_, about) in COMMANDS.items()]
    example = f'example: {typed["translate"]} "Good morning."'
    return "\n".join(["commands:", *rows, "", example, "Each has --help."])


def _close(name: str) -> str:
    """Return a question that names the closest command, if one is close."""
    from difflib import get_close_matches

    found = get_close_matches(name, COMMANDS, 1)
    return f": is it {found[0]!r}?" if found else ""


def _answer(text: str) -> int:
    from int8ref.errors import UserError
    from int8ref.text.streams import described, standard_output, tell

    try:
        standard_output().write_all(f"{text}\n".encode())
    except (OSError, UserError) as error:
        tell(f"int8ref: error: {described(error)}\n")
        return 1
    return 0


def script() -> int:
    """Run the console script `int8ref`."""
    sys.excepthook = missing.hook
    if ASKED in os.environ:
        from int8ref.commands.completing import complete

        complete()
    return main(sys.argv[1:], SCRIPT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
