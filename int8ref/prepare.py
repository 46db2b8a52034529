"""`python -m int8ref.prepare NAME...`: imports and compiles ahead, for images and clusters."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

PROGRAM = program("int8ref.prepare")
EXAMPLES = f"""examples:
  {PROGRAM} en-pt pt-en
  INT8REF_CACHE=/opt/int8ref {PROGRAM} en-pt model.safetensors

The cache folder (INT8REF_CACHE, or the user's own) then has everything that a first use makes: the
imported models, the native code for this CPU, and the weights in the form that it reads.  Other
processes with the same cache folder and the same kind of CPU start at once.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Import and compile ahead.", EXAMPLES)
    made.add_argument("models", metavar="NAME", nargs="+", help="name of a model, or model file")
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.machine.toolchain.native import machine
    from int8ref.translator import ready

    output = LineWriter(standard_output())
    for name in given.models:
        wanted = argparse.Namespace(model=name, sha256=None, backend="compiled")
        path, model = command.load_model(wanted, console)
        ready(model, "compiled")
        machine()
        output.write([f"{name}: {path}, SHA-256 {model.sha256}"])


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
