"""`python -m int8ref.embed`: turns texts into embeddings, vectors of int8."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from int8ref.commands import arguments as shared
from int8ref.commands import command, encoding
from int8ref.commands.npy import NpyWriter
from int8ref.text.lines import open_file
from int8ref.text.streams import STANDARD

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path

    from int8ref.encoder import Embedding, Encoder

PROGRAM = "python -m int8ref.embed"
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
    """Writes vectors to an array of NumPy."""

    def __init__(self, writer: NpyWriter) -> None:
        self._writer = writer

    def __enter__(self) -> Rows:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.__exit__()

    def write(self, results: Sequence[Embedding], first: int) -> None:
        """Implement `encoding.Writer.write`."""
        self._writer.write(result.vector.tobytes() for result in results)


def parser() -> shared.Parser:
    """Return the parser of the command line."""
    told = "Embed texts with integers only."
    return encoding.parser(PROGRAM, told, EXAMPLES, FORMATS, "npy with -o FILE.npy, else json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    kind = given.output_format or ("npy" if given.output.endswith(".npy") else "json")
    if kind == "npy" and given.output == STANDARD:
        made.error(
            "--output-format npy needs --output FILE, because the array begins with its size"
        )

    def opened(
        encoder: Encoder, inputs: Sequence[command.InputFile], model: Path
    ) -> encoding.Writer:
        if kind == "npy":
            file = open_file(given.output, command.taken_by(inputs, model))
            return Rows(NpyWriter(file, encoder.width))
        writer = command.open_results(given.output, inputs, model)
        return encoding.Lines(writer, document(encoder))

    return encoding.run(made, given, opened, lambda encoder, *rest: encoder.embeddings(*rest))


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
