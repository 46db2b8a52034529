"""`python -m int8ref.info MODEL`: tells what a model file is."""

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
from int8ref.commands.values import sha256
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

PROGRAM = program("int8ref.info")
EXAMPLES = f"""examples:
  {PROGRAM} en-de-tatoeba
  {PROGRAM} model.safetensors --json

The file is read and checked as for a translation, and nothing is run.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Tell what a model file is.", EXAMPLES)
    made.add_argument("model", metavar="MODEL", help="model file, or a name")
    made.add_argument(
        "--sha256", type=sha256, metavar="HEX", help="take only the model file with this SHA-256"
    )
    made.add_argument("--json", action="store_true", help="print one JSON document")
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    made.set_defaults(backend="reference")
    given = made.parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    import msgspec

    from int8ref.commands.description import described, text_of

    document = described(*command.load_model(given, console))
    lines = [msgspec.json.encode(document).decode()] if given.json else [*text_of(document)]
    LineWriter(standard_output()).write(lines)


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
