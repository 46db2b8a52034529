"""`python -m int8ref.corpus`: translates files on a cluster of Ray."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref import translate
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.each import each
from int8ref.commands.parser import command_parser
from int8ref.commands.run_files import RunFiles
from int8ref.commands.table import program
from int8ref.commands.values import MAX_COUNT, count

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.cluster.pool import Pool

PROGRAM = program("int8ref.corpus")
BLOCK_LINES = 512
EXAMPLES = f"""examples:
  {PROGRAM} news.txt books.txt.gz -o translated
  {PROGRAM} news.txt -o translated --address auto --workers 16
  {PROGRAM} news.txt -o translated --beam-size 4 --output-format json

Each output has the name of its input, and the bytes that int8ref.translate --resume writes.  A run
that ended early goes on when the same command runs again, here or with int8ref.translate --resume.
The model goes to the workers by value, and each worker checks its SHA-256.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    told = "Translate files on a cluster of Ray, with integers only."
    made = command_parser(PROGRAM, told, EXAMPLES)
    made.add_argument("files", nargs="+", metavar="INPUT", help="text, a sentence a line")
    translate.add_options(made)
    add = made.add_argument_group("cluster").add_argument
    add(
        "--address",
        metavar="ADDRESS",
        default="local",
        help="address of the cluster; auto: the cluster of this machine (default: a cluster of"
        " this machine that ends with the run)",
    )
    add(
        "--workers",
        type=count(MAX_COUNT),
        metavar="N",
        help="workers, each on one processor (default: the processors of the cluster)",
    )
    add(
        "--block-lines",
        type=count(1 << 20),
        metavar="N",
        default=BLOCK_LINES,
        help=f"lines of a task, which is repeated if its worker is lost (default: {BLOCK_LINES})",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    if given.input is not None:
        made.error("give the inputs without --input")
    given.text, given.input, given.resume = [], given.files, True
    translate.check(made, given)
    given.output_format = translate.output_format(given)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.cluster.pool import connected

    given.loaded = [command.load_model(given, console)]
    with connected(given, console) as pool:
        each(given, console, partial(run, pool))


def run(pool: Pool, given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Translate the lines of `files` with the workers of a pool."""
    from int8ref.translation.unknown import UnknownCharacters

    options = translate.options_of(given, witnessed=False)
    items, unknown, model = files.items(given), UnknownCharacters(), given.loaded[0]
    with files.opener("translate", model, translate.parser(), given)(model[0]) as outputs:
        try:
            for block in pool.translated(items, options, translate.lines_of(given)):
                for message in block.warnings:
                    files.complain(message)
                outputs.write(block.lines, block.lines)
                for found in block.unknown:
                    unknown.add(*found)
        finally:
            unknown.tell(console.warning)


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
