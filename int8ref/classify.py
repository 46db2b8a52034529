"""`python -m int8ref.classify`: labels texts, with probabilities."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from int8ref.commands import arguments as shared
from int8ref.commands import command, encoding

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path

    from int8ref.encoder import Classification, Encoder

PROGRAM = "python -m int8ref.classify"
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


def parser() -> shared.Parser:
    """Return the parser of the command line."""
    return encoding.parser(PROGRAM, "Label texts with integers only.", EXAMPLES, FORMATS, "text")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    written = {"text": line, "json": document}[given.output_format or "text"]

    def opened(_: Encoder, inputs: Sequence[command.InputFile], model: Path) -> encoding.Writer:
        return encoding.Lines(command.open_results(given.output, inputs, model), written)

    return encoding.run(made, given, opened, lambda encoder, *rest: encoder.classifications(*rest))


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
