"""`python -m int8ref.vectors`: writes golden vectors, the inputs and outputs of every operation."""

from __future__ import annotations

import argparse
import os
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
from int8ref.commands.values import MAX_COUNT, count
from int8ref.errors import UserError
from int8ref.text.lines import check_output, split_arguments
from int8ref.text.streams import STANDARD, standard_output
from int8ref.translation.unknown import UnknownCharacters

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.golden.vectors import Vectors

PROGRAM = program("int8ref.vectors")
EXAMPLES = f"""examples:
  {PROGRAM} -o vectors.npz "Good morning."
  {PROGRAM} -m en-de-tatoeba --op linear --op layer_norm_l1 --steps 2 -o vectors.npz "Tom sleeps."
  {PROGRAM} --intermediates -o vectors/ "Good morning." "How are you?"
  {PROGRAM} --corners -o corners/

A NumPy archive has an array for each operand and result, and vectors.json, which says for each
operation which arrays it read and wrote.  A folder has the same content as plain files.  The same
model and texts give the same bytes on every machine and backend.
"""
FORMS = ("npz", "folder")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Write golden vectors of sentences.", EXAMPLES)
    add = made.add_argument_group("model, input, output").add_argument
    add_model(add)
    add_languages(add)
    add(
        "-o",
        "--output",
        metavar="NAME",
        required=True,
        help="the archive (.npz), or a new folder; -: stdout",
    )
    add(
        "--output-format",
        choices=FORMS,
        help="npz: an archive of NumPy; folder: plain files, as testbenches read them (default: the"
        " ending of --output chooses: NAME/ is a folder, and any other name is an archive)",
    )
    add(
        "text",
        metavar="TEXT",
        nargs="*",
        help="a sentence, or several, which are one batch; a model without a source reads them as"
        " its own",
    )
    add = made.add_argument_group("what is written").add_argument
    add(
        "--corners",
        action="store_true",
        help="corner cases of every operation and primitive, without a model and a text",
    )
    add("--op", action="append", metavar="NAME", help="only this operation; may be repeated")
    add(
        "--steps",
        type=count(MAX_COUNT),
        metavar="N",
        help="most steps of the decoder (default: to the end of the sentences)",
    )
    add(
        "--intermediates",
        action="store_true",
        help="also the intermediate values of the operations: accumulators, scores, weights, sums",
    )
    add_backend(made.add_argument_group("speed (no byte changes)").add_argument, "reference")
    add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    used = parser()
    given = used.parse_args(arguments)
    if given.corners:
        _check_corners(used, given)
    elif not given.text:
        used.error("the following arguments are required: TEXT (or --corners)")
    return command.run(partial(_corners if given.corners else _run, given), given.log_level)


def _check_corners(used: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage if an option has no effect beside --corners."""
    if given.text:
        used.error("--corners needs no TEXT")
    useless = "model", "sha256", "source_language", "target_language", "steps"
    check_useless(used, given, useless, "with --corners")


def _corners(given: argparse.Namespace, console: Console) -> None:
    from int8ref.corners import record_corners

    _write(given, record_corners(given.op, given.intermediates), console)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.translation.recording import record

    texts = split_arguments(given.text)
    if len(texts) > len(given.text):
        raise UserError(f"the text has {len(texts)} lines: give each line as a TEXT of its own")
    path, model = command.load_model(given, console)
    check_output(given.output, command.taken_by([], path))
    languages = given.source_language, given.target_language
    found = record(
        model, texts, given.steps, given.op, given.backend, languages, given.intermediates
    )
    _write(given, found, console, model.name, model.sha256)


def _write(
    given: argparse.Namespace,
    found: Vectors,
    console: Console,
    model: str | None = None,
    sha256: str | None = None,
) -> None:
    """Write vectors in the form that the command line asks for."""
    from int8ref.golden.archive import archive
    from int8ref.golden.folder import write_folder
    from int8ref.host.storage import write_whole

    named_folder = given.output_format is None and given.output.endswith(("/", os.sep))
    if given.output_format == "folder" or named_folder:
        if given.output == STANDARD:
            raise UserError("a folder cannot go to stdout: name it with --output")
        write_folder(given.output, found, model, sha256)
    elif given.output == STANDARD:
        standard_output().write_all(archive(found, model, sha256))
    else:
        write_whole(given.output, archive(found, model, sha256))
    unknown = UnknownCharacters()
    unknown.add(*found.unknown)
    unknown.tell(console.warning)
    console.info(f"{len(found.records)} operations, {len(found.arrays)} arrays")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
