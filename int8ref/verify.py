"""`python -m int8ref.verify`: verifies models, dumps of values, and receipts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.arguments.model import VERIFIED, add_languages, add_model
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.console import Console
from int8ref.commands.named import named
from int8ref.commands.parser import check_useless, command_parser
from int8ref.commands.table import program
from int8ref.text.lines import LineWriter
from int8ref.text.streams import open_input, standard_output

PROGRAM = program("int8ref.verify")
EXAMPLES = f"""examples:
  {PROGRAM} -m en-pt
  {PROGRAM} -m model.safetensors --text lines.txt
  {PROGRAM} run.receipt --against-output lines.pt.txt

A receipt is run again, and every record is compared.  The command prints one line if everything is
equal.  Otherwise it ends with the exit status 1, and names the first difference.
"""
RECEIPT = b'{"receipt":'


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Verify models, dumps and receipts.", EXAMPLES)
    made.add_argument(
        "file", metavar="FILE", nargs="?", help="a receipt, or a dump: an archive or a folder"
    )
    add = made.add_argument_group("model").add_argument
    add_model(add, VERIFIED)
    add_languages(add)
    add("--text", metavar="FILE", help="sentences, one a line (default: sentences of int8ref)")
    add = made.add_argument_group("receipts").add_argument
    add("--against-input", metavar="FILE", help="compare the texts with this input file too")
    add("--against-output", metavar="FILE", help="compare this output file too, byte for byte")
    add_speed(made)
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    if given.file is None:
        check_useless(made, given, ("against_input", "against_output"), "without FILE")
    else:
        check_useless(made, given, ("text",), "with FILE")
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    output = LineWriter(standard_output())
    for line in _verified(given, console):
        output.write([line])


def _verified(given: argparse.Namespace, console: Console) -> Iterator[str]:
    """Yield the lines that say what is equal."""
    languages = given.source_language, given.target_language
    if given.file is None:
        from int8ref.verification.models import verify_model

        path, model = command.load_model(given, console)
        texts = None
        if given.text is not None:
            texts = list(command.InputFile("text", given.text, console.warning).lines)
        yield from verify_model(path, model, texts, languages, console)
    elif _is_receipt(given.file):
        from int8ref.verification.replay import replay

        yield replay(given.file, given, console)
    else:
        yield from _dump(given, console)


def _is_receipt(path: str) -> bool:
    if os.path.isdir(path):
        return False
    with open_input(path) as file:
        return file.peek(len(RECEIPT)).startswith(RECEIPT)


def _dump(given: argparse.Namespace, console: Console) -> Iterator[str]:
    """Compare a dump with the golden vectors of its model, or with the corner cases."""
    from int8ref.verification.dumps import open_dump
    from int8ref.verification.results import compare, golden_of

    with open_dump(given.file) as dump:
        told = dump.told
        model = None
        if told.sha256 is not None:
            wanted = {"model": given.model or named(told.model, told.sha256), "sha256": told.sha256}
            _, model = command.load_model(argparse.Namespace(**{**vars(given), **wanted}), console)
        languages = given.source_language, given.target_language
        yield from compare(dump, golden_of(dump, model, languages))


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
