"""`python -m int8ref.vectors`: writes golden vectors, the inputs and outputs of every operation."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from int8ref.commands import arguments as shared
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.errors import UserError
from int8ref.text.lines import split_arguments
from int8ref.text.streams import STANDARD, standard_output
from int8ref.translation.unknown import UnknownCharacters

PROGRAM = "python -m int8ref.vectors"
EXAMPLES = f"""examples:
  {PROGRAM} -o vectors.npz "Good morning."
  {PROGRAM} -m en-de-tatoeba --op linear --op layer_norm_l1 --steps 2 -o vectors.npz "Tom sleeps."

The file is a NumPy archive: an array for each operand and result, and vectors.json, which says what
each operation was given and what it gave.  The same model and text give the same bytes on every
machine and backend.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = shared.command_parser(PROGRAM, "Write golden vectors of one sentence.", EXAMPLES)
    add = made.add_argument_group("model, input, output").add_argument
    shared.add_model(add)
    shared.add_languages(add)
    add("-o", "--output", metavar="FILE", required=True, help="the archive (.npz); -: stdout")
    add("text", metavar="TEXT", help="a sentence; a model without a source reads it as its own")
    add = made.add_argument_group("what is written").add_argument
    add("--op", action="append", metavar="NAME", help="only this operation; may be repeated")
    add(
        "--steps",
        type=shared.count(shared.MAX_COUNT),
        metavar="N",
        help="most steps of the decoder (default: to the end of the sentence)",
    )
    shared.add_backend(made.add_argument_group("speed (no byte changes)").add_argument, "reference")
    shared.add_log_level(made.add_argument_group("messages").add_argument)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    from int8ref.files.model_file import model_hash
    from int8ref.files.shortlist import beside
    from int8ref.host.storage import write_whole
    from int8ref.translation.recording import record

    lines = split_arguments([given.text])
    if len(lines) > 1:
        raise UserError(f"the text has {len(lines)} lines: vectors are of one sentence")
    path, model = command.load_model(given, console)
    languages = given.source_language, given.target_language
    found = record(model, lines[0], given.steps, given.op, given.backend, languages)
    content = found.archive(model.name, model_hash(path))
    for what, used in (("model", path), ("shortlist", beside(path))):
        if all(map(os.path.exists, (given.output, used))) and os.path.samefile(given.output, used):
            raise UserError(f"{given.output}: the output is the {what} file")
    if given.output == STANDARD:
        standard_output().write_all(content)
    else:
        write_whole(given.output, content)
    unknown = UnknownCharacters()
    unknown.add(found.unknown)
    unknown.tell(console.warning)
    console.info(f"{len(found.records)} operations, {len(found.arrays)} arrays")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
