"""`python -m int8ref.completion SHELL`: prints the completion of `int8ref` for a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.completing import SHELLS, library
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

PROGRAM = program("int8ref.completion")
EXAMPLES = f"""examples:
  eval "$({PROGRAM} bash)"          in ~/.bashrc
  eval "$({PROGRAM} zsh)"           in ~/.zshrc, after compinit
  {PROGRAM} fish | source           in ~/.config/fish/config.fish

The tab key then completes commands, options, their choices, names of models, and files.  This needs
the extra completion, which installs argcomplete.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Print the completion for a shell.", EXAMPLES)
    made.add_argument("shell", choices=SHELLS, help="the shell")
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    code = library().shellcode(["int8ref"], shell=given.shell)
    LineWriter(standard_output()).write(code.rstrip("\n").split("\n"))


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
