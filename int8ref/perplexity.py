"""`python -m int8ref.perplexity`: measures how well a language model predicts a text."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial

from int8ref.commands import command
from int8ref.commands.arguments.messages import add_messages
from int8ref.commands.arguments.model import LANGUAGE_MODEL, add_model
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.console import Console
from int8ref.commands.counts import of_a_batch
from int8ref.commands.parser import command_parser
from int8ref.commands.table import program
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

PROGRAM = program("int8ref.perplexity")
EXAMPLES = f"""examples:
  {PROGRAM} -m wikitext-2.safetensors -i wiki.test.tokens
  {PROGRAM} -m wikitext-2.safetensors --window 128 < wiki.test.tokens

The perplexity of a text is 2^(-L / n) for its log2-probability L and n words, or n tokens.  A word
is a white-space token, and the end of a line counts as one, as is usual for WikiText.  The text,
its lines ended by the end-of-sentence token, is read in windows that overlap by half: each window
scores its second half, the first all of it, so that a token has half a window of context.  L is
summed in integers, units of 2^-20, and becomes a decimal number once, at the end.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Measure a language model with integers only.", EXAMPLES)
    add = made.add_argument_group("model, input").add_argument
    add_model(add, LANGUAGE_MODEL)
    add("-i", "--input", metavar="FILE", default="-", help="text (default: -, stdin)")
    add(
        "--window", type=int, metavar="N", help="tokens of a window (default: what the model takes)"
    )
    add_speed(made)
    add_messages(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    file = command.InputFile("input", given.input, command.complaints(given.strict, console))

    from int8ref.language_model import LanguageModel
    from int8ref.translation.ready import Speed

    _, model = command.load_model(given, console)
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    begun = time.monotonic()
    reader = LanguageModel(model, given.backend, speed)
    found = reader.perplexity(file.lines, given.window, console.warning)
    lines = [
        f"word perplexity   {found.of_words} ({found.words} words)",
        f"token perplexity  {found.of_tokens} ({found.tokens} tokens)",
    ]
    LineWriter(standard_output()).write(lines)
    if given.stats:
        seconds = time.monotonic() - begun
        together = of_a_batch(reader.threads_of_a_batch)
        console.say(f"{seconds:.2f} s: {found.tokens / seconds:.1f} tokens/s{together}")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
