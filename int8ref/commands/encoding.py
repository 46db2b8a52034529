"""The common part of the commands that read texts with an encoder alone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from int8ref.commands import arguments as shared
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.signature import signature
from int8ref.text.lines import LineWriter, Warn, split_arguments
from int8ref.text.streams import standard_output
from int8ref.translation.unknown import UnknownCharacters, counted

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path

    from int8ref.encoder import Classification, Embedding, Encoder

    Result = Embedding | Classification


class Writer(Protocol):
    """Writes results.  It is a context that closes the output."""

    def write(self, results: Sequence[Any], first: int) -> None:
        """Write the results, which have the numbers from `first` on."""
        ...

    def __enter__(self) -> Writer: ...

    def __exit__(self, *_: object) -> None: ...


Open = Callable[["Encoder", Sequence[command.InputFile], "Path"], Writer]
"""Opens the output of a run with this encoder, these inputs and this model file."""
Compute = Callable[["Encoder", Iterable[str], Warn], Iterator[Sequence["Result"]]]


class Lines:
    """Writes each result as one line.  `line` returns the line of a number and a result."""

    def __init__(self, writer: LineWriter, line: Callable[[int, Any], str]) -> None:
        self._writer, self._line = writer, line

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.__exit__()

    def write(self, results: Sequence[Any], first: int) -> None:
        """Implement `Writer.write`."""
        self._writer.write([self._line(n, result) for n, result in enumerate(results, first)])


def parser(
    program: str, description: str, epilog: str, formats: Sequence[str], usual: str
) -> shared.Parser:
    """Return the parser of a command.  `usual`: description of the default format."""
    made = shared.command_parser(program, description, epilog)
    made.add_argument("text", nargs="*", help="texts, instead of --input")
    streams = made.add_argument_group("model, input, output").add_argument
    shared.add_model(streams, shared.ENCODER)
    streams("-i", "--input", metavar="FILE", help="texts, one a line (default: -, stdin)")
    streams("-o", "--output", metavar="FILE", default="-", help="default: -, stdout")
    streams("--output-format", choices=formats, help=f"default: {usual}")
    shared.add_speed(made)
    shared.add_messages(made).add_argument(
        "--signature",
        action="store_true",
        help="print what makes a run reproducible, and read no text",
    )
    return made


def run(made: shared.Parser, given: argparse.Namespace, open_: Open, compute: Compute) -> int:
    """Run a command.  Return its exit status: see `command.run`."""
    if given.text and given.input is not None:
        made.error("text as arguments and --input exclude each other")
    return command.run(partial(_run, given, open_, compute), given.log_level)


def _run(given: argparse.Namespace, open_: Open, compute: Compute, console: Console) -> None:
    complain = command.complaints(given.strict, console)
    read = not (given.text or given.signature)
    inputs = [command.InputFile("input", given.input, complain)] if read else []
    texts: Iterable[str] = inputs[0].lines if inputs else split_arguments(given.text)

    from int8ref.encoder import Encoder
    from int8ref.translation.ready import Speed

    path, model = command.load_model(given, console)
    if given.signature:
        line = signature(path, model, {"backend": given.backend})
        LineWriter(standard_output()).write([line])
        return
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    encoder = Encoder(model, given.backend, speed)
    found = compute(encoder, texts, complain)  # may reject the model, so the output stays as it is
    done, tokens, cut, unknown, begun = 0, 0, 0, UnknownCharacters(), time.monotonic()
    with open_(encoder, inputs, path) as writer:
        command.invite(inputs, console)
        try:
            for results in found:
                writer.write(results, done)
                done += len(results)
                tokens += sum(result.tokens for result in results)
                cut += sum(result.truncated for result in results)
                for result in results:
                    unknown.add(result.unknown)
        finally:
            unknown.tell(console.warning)
    if given.stats:
        seconds = max(time.monotonic() - begun, 1e-9)
        told = f"{counted(done, 'line')} ({cut} cut), {counted(tokens, 'token')}"
        console.say(f"{told} in {seconds:.2f} s: {done / seconds:.1f} lines/s")
