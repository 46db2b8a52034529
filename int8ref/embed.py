"""`python -m int8ref.embed`: turns texts into embeddings, vectors of int8."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command, encoding
from int8ref.commands.console import Console
from int8ref.commands.npy import NpyWriter
from int8ref.commands.parser import Parser
from int8ref.commands.run_files import RunFiles
from int8ref.commands.table import program
from int8ref.text.compressed import kind_of
from int8ref.text.streams import STANDARD

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.commands.receipt import Receipt
    from int8ref.encoder import Embedding, Encoder
    from int8ref.files.models import ModelFile

PROGRAM = program("int8ref.embed")
FORMATS = ("json", "npy")
EXAMPLES = f"""examples:
  {PROGRAM} -m minilm.safetensors "A man is playing a guitar."
  {PROGRAM} -m minilm.safetensors -i lines.txt -o vectors.npy
  {PROGRAM} -m minilm.safetensors -i lines.txt > vectors.jsonl

One line in is one vector out, in the same order; an empty line has a vector too.  A vector is a
unit vector times a number of the model, the length, rounded to integers from -127 to 127.  The dot
product of two vectors, divided by length^2, is their cosine.  Vectors are the same bytes for every
backend, batch size, number of threads and machine, given the same model file.

npy is an array of NumPy, int8 [lines, width], which is complete after each batch.
"""


class Rows:
    """Writes vectors to an array of NumPy, and the records of a receipt if there is one."""

    def __init__(
        self, writer: NpyWriter, tell: Callable[[int], None], receipt: Receipt | None
    ) -> None:
        self._writer, self._tell, self._receipt = writer, tell, receipt

    def write(self, results: Sequence[Embedding], first: int) -> None:
        """Implement `encoding.Writer.write`."""
        rows = [result.vector.tobytes() for result in results]
        self._writer.write(rows)
        if self._receipt is not None:
            self._receipt.add(results, rows)
        self._tell(len(rows))


def parser() -> Parser:
    """Return the parser of the command line."""
    told = "Embed texts with integers only."
    return encoding.parser(PROGRAM, told, EXAMPLES, FORMATS, "npy with -o FILE.npy, else json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    check(made, given)
    if _format(given) == "npy" and given.output == STANDARD:
        made.error(
            "--output-format npy needs --output FILE, because the array begins with its size"
        )
    if _format(given) == "npy" and (given.resume or kind_of(given.output)):
        made.error("--resume and compression need --output-format json")
    return command.run(partial(encoding.answer, given, run), given.log_level)


check = encoding.check


def run(given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Embed the texts of `files`."""
    given.output_format = _format(given)

    @contextmanager
    def opened(encoder: Encoder, model: ModelFile) -> Iterator[encoding.Writer]:
        if given.output_format == "npy":
            with (
                files.rows_to(model[0], encoder.width) as rows,
                files.receipt("embed", model, parser(), given) as receipt,
            ):
                yield Rows(rows, files.progress(False), receipt)
        else:
            with files.opener("embed", model, parser(), given)(model[0]) as outputs:
                yield encoding.Lines(outputs, document(encoder))

    encoding.encode(given, console, files, opened, lambda encoder, *rest: encoder.embeddings(*rest))


def _format(given: argparse.Namespace) -> str:
    return given.output_format or ("npy" if given.output.endswith(".npy") else "json")


def document(encoder: Encoder) -> Callable[[int, Embedding], str]:
    """Return a function that returns the JSON document of an embedding."""
    import msgspec

    encode = msgspec.json.Encoder().encode

    def line(number: int, result: Embedding) -> str:
        members = {"id": number, "text": result.text, "tokens": result.tokens}
        members |= {"truncated": result.truncated, "length": encoder.length}
        members |= {"unknown": result.unknown} if result.unknown else {}
        return encode(members | {"embedding": result.vector.tolist()}).decode()

    return line


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
