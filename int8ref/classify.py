"""`python -m int8ref.classify`: labels texts, with probabilities."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command, encoding
from int8ref.commands.console import Console
from int8ref.commands.parser import Parser
from int8ref.commands.run_files import RunFiles
from int8ref.commands.table import program

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.encoder import Classification, Encoder
    from int8ref.files.models import ModelFile

PROGRAM = program("int8ref.classify")
FORMATS = ("text", "json")
EXAMPLES = f"""examples:
  {PROGRAM} -m sentiment.safetensors "What a lovely film!"
  {PROGRAM} -m sentiment.safetensors --output-format json -i lines.txt

One line in is one line out, in the same order; an empty line has a label too.  text is the
likeliest label, a tab, and its log-probability.  json has the log-probability of each label.
Logarithms are natural and never positive.  Results are the same bytes for every backend, batch
size, number of threads and machine, given the same model file.
"""


def line(number: int, result: Classification) -> str:
    """Return the likeliest label and its log-probability on one line."""
    from int8ref.text.tokenizers import in_one_line

    label = in_one_line(result.label).replace("\t", " ")
    return f"{label}\t{result.log_probabilities[result.best]}"


def document(number: int, result: Classification) -> str:
    """Return one JSON document."""
    import msgspec

    probabilities = result.log_probabilities
    members = {"id": number, "text": result.text, "tokens": result.tokens}
    members |= {"truncated": result.truncated, "label": result.label}
    members |= {"unknown": result.unknown} if result.unknown else {}
    members["log_probability"] = probabilities[result.best]
    members["labels"] = [
        {"label": label, "log_probability": probability}
        for label, probability in zip(result.labels, probabilities, strict=True)
    ]
    return msgspec.json.Encoder(decimal_format="number").encode(members).decode()


def parser() -> Parser:
    """Return the parser of the command line."""
    return encoding.parser(PROGRAM, "Label texts with integers only.", EXAMPLES, FORMATS, "text")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    check(made, given)
    return command.run(partial(encoding.answer, given, run), given.log_level)


check = encoding.check


def run(given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Label the texts of `files`."""
    given.output_format = given.output_format or "text"
    written = {"text": line, "json": document}[given.output_format]

    @contextmanager
    def opened(_: Encoder, model: ModelFile) -> Iterator[encoding.Writer]:
        with files.opener("classify", model, parser(), given)(model[0]) as outputs:
            yield encoding.Lines(outputs, written)

    encoding.encode(
        given, console, files, opened, lambda encoder, *rest: encoder.classifications(*rest)
    )


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
