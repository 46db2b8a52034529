"""`python -m int8ref.score`: computes the probabilities of given translations, line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest

from int8ref.commands import arguments as shared
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.run_files import open_outputs
from int8ref.commands.table import program
from int8ref.text.lines import TextError

PROGRAM = program("int8ref.score")
FORMATS = ("text", "json")
EXAMPLES = f"""examples:
  {PROGRAM} -m en-pt lines.en.txt lines.pt.txt
  {PROGRAM} -m en-pt --normalization length --alpha 1 < pairs.tsv
  {PROGRAM} -m en-pt --scores=token --output-format json -i pairs.tsv -o scores.jsonl

A line of the output for each pair: log P(translation | source), the sum over the tokens of the
translation and the end of the sentence.  Logarithms are natural, and never positive.  With
--normalization the sum is divided by a power of the number of tokens, the end of the sentence
counted; by default it is not.  Everything is computed in integers and rounded once, to six decimal
places: the numbers are the same for every backend, batch size, number of threads and machine.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = shared.command_parser(PROGRAM, "Score given translations with integers only.", EXAMPLES)
    made.add_argument(
        "files", nargs="*", metavar="FILE", help="sources and translations, instead of --input"
    )
    shared.add_streams(made, "a source, a tab and its translation a line", FORMATS, "text")
    shared.add_scores(made, "none", "sentence")
    shared.add_speed(made)
    shared.add_messages(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    given.normalization = given.normalization or "none"
    shared.check_normalization(made, given)
    if len(given.files) not in (0, 2):
        made.error("give two files, of sources and of translations, or none")
    if given.files == ["-", "-"]:
        made.error("one of the two files may be -, stdin, not both")
    if given.files and given.input is not None:
        made.error("files as arguments and --input exclude each other")
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    complain = command.complaints(given.strict, console)
    if given.files:
        inputs = [
            command.InputFile(what, path, complain)
            for what, path in zip(("source", "translation"), given.files, strict=True)
        ]
        pairs = _side_by_side(*(file.lines for file in inputs))
    else:
        inputs = [command.InputFile("input", given.input, complain)]
        pairs = _around_tabs(inputs[0])
    options = shared.options_of(given, scores=True)

    model = command.load_model(given, console)

    from int8ref.commands import output

    lines_of = {"text": output.scores, "json": output.json}[given.output_format or "text"]
    command.deliver(
        given,
        console,
        inputs,
        model,
        lambda translator: translator.score_batches(pairs, options, complain),
        partial(lines_of, shown=output.Shown(given.scores, given.alignment)),
        partial(open_outputs, given.output, inputs),
    )


def _side_by_side(sources: Iterable[str], translations: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, (source, translation) in enumerate(zip_longest(sources, translations), start=1):
        if source is None or translation is None:
            ends, goes = ("sources", "translations")[:: 1 if source is None else -1]
            raise TextError(f"the {ends} end before line {number}, the {goes} do not")
        yield source, translation


def _around_tabs(file: command.InputFile) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(file.lines, start=1):
        if line.count("\t") != 1:
            raise TextError(f"{file.lines.where(number)} has {line.count(chr(9))} tabs, not one")
        source, _, translation = line.partition("\t")
        yield source, translation


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
