"""The common part of the commands that read texts with an encoder alone."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from int8ref.commands import command
from int8ref.commands.arguments.lines import add_lines, check_lines
from int8ref.commands.arguments.messages import add_messages
from int8ref.commands.arguments.model import ENCODER, add_model
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.arguments.streams import add_files, add_receipt
from int8ref.commands.console import Console
from int8ref.commands.counts import of_a_batch
from int8ref.commands.each import Run, each
from int8ref.commands.outputs import Outputs
from int8ref.commands.parser import Parser, command_parser
from int8ref.commands.run_files import RunFiles
from int8ref.commands.signature import signature
from int8ref.text.lines import LineWriter, Warn
from int8ref.text.streams import standard_output
from int8ref.translation.unknown import UnknownCharacters, counted

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.encoder import Classification, Embedding, Encoder
    from int8ref.files.models import ModelFile

    Result = Embedding | Classification


class Writer(Protocol):
    """Writes results."""

    def write(self, results: Sequence[Any], first: int) -> None:
        """Write the results, which have the numbers from `first` on."""
        ...


Open = Callable[["Encoder", "ModelFile"], AbstractContextManager[Writer]]
"""Opens the outputs of a run with this encoder."""
Compute = Callable[["Encoder", Iterable[str], Warn, int], Iterator[Sequence["Result"]]]


class Lines:
    """Writes each result as one line.  `line` returns the line of a number and a result."""

    def __init__(self, outputs: Outputs, line: Callable[[int, Any], str]) -> None:
        self._outputs, self._line = outputs, line

    def write(self, results: Sequence[Any], first: int) -> None:
        """Implement `Writer.write`."""
        lines = [[self._line(n, result)] for n, result in enumerate(results, first)]
        self._outputs.write(results, lines)


def parser(
    program: str, description: str, epilog: str, formats: Sequence[str], usual: str
) -> Parser:
    """Return the parser of a command.  `usual`: description of the default format."""
    made = command_parser(program, description, epilog)
    made.add_argument("text", nargs="*", help="texts, instead of --input")
    streams = made.add_argument_group("model, input, output").add_argument
    add_model(streams, ENCODER)
    add_files(streams, "texts, one a line")
    streams("--output-format", choices=formats, help=f"default: {usual}")
    add_receipt(streams)
    add_lines(made, columns="text" in formats)
    add_speed(made)
    add_messages(made).add_argument(
        "--signature",
        action="store_true",
        help="print what makes a run reproducible, and read no text",
    )
    return made


def check(made: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage for options that exclude each other."""
    check_lines(made, given)


def answer(given: argparse.Namespace, run: Run, console: Console) -> None:
    """Print the signature, or run the command."""
    if given.signature:
        _, model = command.load_model(given, console)
        line = signature(model, {"backend": given.backend})
        LineWriter(standard_output()).write([line])
    else:
        each(given, console, run)


def encode(
    given: argparse.Namespace, console: Console, files: RunFiles, open_: Open, compute: Compute
) -> None:
    """Compute and write the results of the lines of `files`."""
    from int8ref.encoder import Encoder
    from int8ref.translation.ready import Speed

    path, model = command.load_model(given, console)
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    encoder = Encoder(model, given.backend, speed)
    # compute may reject the model, so that the output stays as it is
    items = files.items(given)
    found = compute(encoder, items, files.complain, items.first)
    done, tokens, cut, unknown, begun = 0, 0, 0, UnknownCharacters(), time.monotonic()
    with open_(encoder, (path, model)) as writer:
        command.invite(files.inputs, console)
        try:
            for results in found:
                writer.write(results, items.first + done)
                done += len(results)
                tokens += sum(result.tokens for result in results)
                cut += sum(result.truncated for result in results)
                for result in results:
                    unknown.add(result.unknown)
        finally:
            unknown.tell(console.warning)
    if given.stats:
        seconds = max(time.monotonic() - begun, 1e-9)
        together = of_a_batch(encoder.threads_of_a_batch)
        told = f"{counted(done, 'line')} ({cut} cut), {counted(tokens, 'token')}"
        console.say(f"{told} in {seconds:.2f} s: {done / seconds:.1f} lines/s{together}")
