"""`python -m int8ref.audit`: tells what a model needs in hardware."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_log_level
from int8ref.commands.arguments.model import add_languages, add_model
from int8ref.commands.arguments.speed import add_backend
from int8ref.commands.console import Console
from int8ref.commands.parser import check_useless, command_parser
from int8ref.commands.table import program
from int8ref.errors import UserError
from int8ref.text.lines import check_output
from int8ref.text.streams import STANDARD, standard_output

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.auditing.document import Audit

PROGRAM = program("int8ref.audit")
EXAMPLES = f"""examples:
  {PROGRAM} -m en-de-tatoeba
  {PROGRAM} -m en-pt --text lines.txt --format html -o audit.html
  {PROGRAM} -m en-pt --machine-code --format json -o audit.json

For each instruction: the bits of its accumulators, products and sums, proved from the tensors of
the model, and seen in a text; the share of results at the ends of their range; multiplications;
bytes of tensors, results and states.  --machine-code reads all instructions of the native code.
"""
FORMATS = ("table", "json", "html")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Tell what a model needs in hardware.", EXAMPLES)
    add = made.add_argument_group("model, input, output").add_argument
    add_model(add)
    add_languages(add)
    add(
        "--text",
        metavar="FILE",
        help="lines that the model translates, reads or encodes; -: stdin (default: none, so that"
        " the audit has only proved numbers)",
    )
    add("--format", choices=FORMATS, default=FORMATS[0], help="form of the audit (default: table)")
    add("-o", "--output", metavar="FILE", default=STANDARD, help="default: -, stdout")
    add(
        "--machine-code",
        action="store_true",
        help="compile the native code again, and look for floating-point instructions in it",
    )
    add_backend(made.add_argument_group("speed (no number changes)").add_argument, "reference")
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    used = parser()
    given = used.parse_args(arguments)
    if given.text is None:
        languages = "source_language", "target_language"
        check_useless(used, given, languages, "without --text")
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.auditing.audit import audit

    file = None if given.text is None else command.InputFile("text", given.text, console.warning)
    path, model = command.load_model(given, console)
    inputs = [] if file is None else [file]
    if given.output != STANDARD:
        check_output(given.output, command.taken_by(inputs, path))
    texts = None if file is None else [line for line in file.lines if line.strip()]
    if texts == []:
        raise UserError(f"{given.text}: the text has no line that is not blank")
    machine = None
    if given.machine_code:
        from int8ref.auditing.native import machine as read_machine

        console.info("compiling the native code again, to read it ...")
        machine = read_machine()
    languages = given.source_language, given.target_language
    found = audit(model, model.sha256, texts, given.backend, languages, machine)
    _write(given, found)


def _write(given: argparse.Namespace, found: Audit) -> None:
    """Write an audit in the form that the command line asks for."""
    from int8ref.host.storage import write_whole

    if given.format == "json":
        from int8ref.auditing.document import encode as written
    elif given.format == "html":
        from int8ref.auditing.page import page as written
    else:
        from int8ref.auditing.text import text as written
    content = written(found)
    if given.output == STANDARD:
        standard_output().write_all(content)
    else:
        write_whole(given.output, content)


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
