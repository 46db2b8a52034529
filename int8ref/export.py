"""`python -m int8ref.export`: writes a model as flat files, for programs in C and for RTL."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.arguments.model import add_languages, add_model
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program

PROGRAM = program("int8ref.export")
EXAMPLES = f"""examples:
  {PROGRAM} -m en-de-tatoeba -o flat/
  {PROGRAM} -m model.safetensors --readmemh -o flat/

program.txt has the program as words and numbers, arrays.bin has all weights, and model.h has their
places.  reference_c/ is a program in C that reads them.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Write a model as flat files.", EXAMPLES)
    add = made.add_argument_group("model, output").add_argument
    add_model(add)
    add_languages(add)
    add("-o", "--output", metavar="FOLDER", required=True, help="a new folder")
    add(
        "--readmemh",
        action="store_true",
        help="also write each array as text for $readmemh, in the folder hex",
    )
    add_log_level(made.add_argument_group("messages").add_argument)
    made.set_defaults(backend="reference")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.flat.folder import write_model
    from int8ref.translation.direction import direction

    _, model = command.load_model(given, console)
    chosen = direction(model, given.source_language, given.target_language)
    write_model(given.output, model, model.sha256, chosen, given.readmemh)
    console.info(f"{len(model.tensors)} arrays of {model.name}")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
