"""`python -m int8ref.list`: lists the models that have names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.console import Console
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.files.available import Available

PROGRAM = program("int8ref.list")
EXAMPLES = f"""examples:
  {PROGRAM}
  {PROGRAM} --json

The SHA-256 of a text line is its first 12 digits.  A JSON document has all digits, the origin, and
the path of the file, or null if the file is not on this machine yet.
"""
DIGITS = 12


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "List the models that have names.", EXAMPLES)
    made.add_argument("--json", action="store_true", help="print a JSON document for each model")
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.files.available import available

    models = available()
    LineWriter(standard_output()).write([*map(_json, models)] if given.json else _table(models))


def _table(models: Sequence[Available]) -> list[str]:
    """Return the lines of a table.  The last column has no width."""
    head = ("name", "languages", "licence", "size", "sha256", "file")
    rows = [
        (
            model.name,
            "-".join(model.languages),
            model.licence,
            f"{model.size // 100_000 // 10}.{model.size // 100_000 % 10} MB",
            model.sha256[:DIGITS],
            str(model.path or model.missing),
        )
        for model in models
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)][:-1]
    return ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in (head, *rows)]


def _json(model: Available) -> str:
    import msgspec

    path = None if model.path is None else str(model.path)
    return msgspec.json.encode({**vars(model), "path": path}).decode()


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
