"""`python -m int8ref.score`: computes the probabilities of given translations, line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest

from int8ref.commands import command
from int8ref.commands.arguments.chosen import chosen_options
from int8ref.commands.arguments.lines import add_lines, check_lines
from int8ref.commands.arguments.messages import add_messages
from int8ref.commands.arguments.scores import add_scores, check_normalization
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.arguments.streams import add_streams
from int8ref.commands.console import Console
from int8ref.commands.each import each
from int8ref.commands.forms import Items, Text
from int8ref.commands.parser import command_parser
from int8ref.commands.run_files import RunFiles
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
    made = command_parser(PROGRAM, "Score given translations with integers only.", EXAMPLES)
    made.add_argument(
        "files", nargs="*", metavar="FILE", help="sources and translations, instead of --input"
    )
    add_streams(made, "a source, a tab and its translation a line", FORMATS, "text")
    add_lines(made, ("source", "text"), columns=False)
    add_scores(made, "none", "sentence")
    add_speed(made)
    add_messages(made)
    made.set_defaults(text=[], receipt=None)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    given.normalization = given.normalization or "none"
    check_normalization(made, given)
    if len(given.files) not in (0, 2):
        made.error("give two files, of sources and of translations, or none")
    if given.files == ["-", "-"]:
        made.error("one of the two files may be -, stdin, not both")
    if given.files and given.input is not None:
        made.error("files as arguments and --input exclude each other")
    if given.files and (given.input_format == "json" or given.shard or given.resume):
        made.error("--input-format json, --shard and --resume need --input, not two files")
    check_lines(made, given)
    return command.run(partial(_answer, given), given.log_level)


class TwoFiles(RunFiles):
    """The files of a run whose sources and translations are two files."""

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        self._output, self._receipt, self._console = given.output, None, console
        self.complain = command.complaints(given.strict, console)
        self.inputs = [
            command.InputFile(what, path, self.complain)
            for what, path in zip(("source", "translation"), given.files, strict=True)
        ]

    def items(self, given: argparse.Namespace) -> Items:
        """Return the pairs of lines."""
        pairs = _side_by_side(*(file.lines for file in self.inputs))
        self._items = Items(pairs, Text(), given.first_line - 1, witnessed=False)
        return self._items


def _answer(given: argparse.Namespace, console: Console) -> None:
    if given.files:
        run(given, console, TwoFiles(given, console))
    else:
        each(given, console, run)


def run(given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Score the pairs of `files`."""
    options = chosen_options(given, scores=True)
    items = files.items(given)
    model = command.load_model(given, console)

    from int8ref.commands import output

    lines_of = {"text": output.scores, "json": output.json}[given.output_format or "text"]
    command.deliver(
        given,
        console,
        files.inputs,
        [model],
        lambda translator: translator.score_batches(items, options, files.complain, items.first),
        partial(lines_of, shown=output.Shown(given.scores, given.alignment)),
        files.opener("score", model, parser(), given),
        items.first,
    )


def _side_by_side(sources: Iterable[str], translations: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, (source, translation) in enumerate(zip_longest(sources, translations), start=1):
        if source is None or translation is None:
            ends, goes = ("sources", "translations")[:: 1 if source is None else -1]
            raise TextError(f"the {ends} end before line {number}, the {goes} do not")
        yield source, translation


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
