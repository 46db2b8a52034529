"""`python -m int8ref.perplexity`: how well a language model predicts a text, in integers."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from int8ref.commands import arguments as shared
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.counts import UnknownCharacters
from int8ref.errors import UserError
from int8ref.text.batching import Limits, in_order
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

if TYPE_CHECKING:  # loaded on first use: help and errors of usage must answer at once
    from int8ref.engines.backends import Backend
    from int8ref.engines.engine import Engine
    from int8ref.files.model_file import Model
    from int8ref.text.tokenizers import TextTokenizer

PROGRAM = "python -m int8ref.perplexity"
EXAMPLES = f"""examples:
  {PROGRAM} -m wikitext-2.safetensors -i wiki.test.tokens
  {PROGRAM} -m wikitext-2.safetensors --window 128 < wiki.test.tokens

The perplexity of a text is 2^(-L / n) for its log2-probability L and n words, or n tokens.  A word
is a white-space token, and the end of a line counts as one, as is usual for WikiText.  The text,
its lines ended by the end-of-sentence token, is read in windows that overlap by half: each window
scores its second half, the first all of it, so that a token has half a window of context.  L is
summed in integers, units of 2^-20, and becomes a decimal number once, at the end.
"""
DIGITS = 6
PRECISION = 40
"""Decimal digits of the one conversion, besides those that a large number needs."""
BATCHES_AHEAD = 8


@dataclass(frozen=True)
class Window:
    """A piece of a text: the token before it, its tokens, and how many of the last ones count."""

    start: int
    tokens: list[int]
    fresh: int


@dataclass(frozen=True)
class Perplexity:
    """What was measured: the number of words and of tokens, and the sum of the tokens'
    log2-probabilities in units of 2^-20 (`arithmetic.LOG_BITS`)."""

    words: int
    tokens: int
    log2: int

    @property
    def of_words(self) -> Decimal:
        """2^(-log2 / words)."""
        return power_of_two(-self.log2, self.words)

    @property
    def of_tokens(self) -> Decimal:
        """2^(-log2 / tokens)."""
        return power_of_two(-self.log2, self.tokens)


def power_of_two(log2: int, count: int) -> Decimal:
    """2^(log2 * 2^-20 / count), rounded to six decimal places."""
    from int8ref.spec.arithmetic import LOG_BITS

    whole = (log2 >> LOG_BITS) // count // 3  # at least as many digits as it has before the point
    with localcontext(prec=PRECISION + whole):
        power = Decimal(2) ** (Decimal(log2) / (count << LOG_BITS))
        return power.quantize(Decimal(1).scaleb(-DIGITS))


def windows(tokens: Iterable[int], before: int, length: int) -> Iterator[Window]:
    """Windows of at most `length` tokens, each token fresh in one of them.

    All of the first window is fresh, and of later ones what follows length - length // 2 tokens of
    context.  `before`: the token before the text.
    """
    context = length - length // 2
    text, fresh, wanted = [before], 0, length
    for token in tokens:
        text.append(token)
        fresh += 1
        if fresh == wanted:
            yield Window(text[0], text[1:], fresh)
            text, fresh, wanted = text[-context - 1 :], 0, length - context
    if fresh:
        yield Window(text[0], text[1:], fresh)


class Reader:
    """Iterates over the tokens of lines of text, each line ended by eos, and counts its words."""

    def __init__(self, lines: Iterable[str], tokenizer: TextTokenizer, eos: int) -> None:
        self._lines, self._tokenizer, self._eos = lines, tokenizer, eos
        self.words = self.tokens = 0
        self.unknown = UnknownCharacters()

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(map(self._line, self._lines))

    def _line(self, line: str) -> list[int]:
        text = line.strip()
        ids = self._tokenizer.encode(text)
        self.unknown.add(tuple(self._tokenizer.unknown(text, ids)))
        ids = [*ids, self._eos]
        self.words += len(line.split()) + 1
        self.tokens += len(ids)
        return ids


def measure(
    model: Model,
    lines: Iterable[str],
    window: int | None = None,
    backend: Backend = "compiled",
    batch_size: int = shared.BATCH_SIZE,
    threads: int = 1,
    buffer_size: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> Perplexity:
    """The perplexity of a text; `window`: tokens of a window, by default as many as the model has
    positions for.

    `batch_size`: most windows computed together; `buffer_size`: most of them read ahead.  Neither
    these nor the backend or the threads change the result.  `lines` is iterated in another thread.
    `warn` is told, at the end, how many characters the vocabulary lacks.
    Raises `UserError` for a model that takes a source, for a window that it has no positions for,
    and for a text without lines.
    """
    from int8ref.language_model import LanguageModel

    found = LanguageModel.of(model, backend)
    length = found.positions if window is None else window
    if not 2 <= length <= found.positions:
        raise UserError(f"a window of {length} tokens: the model takes 2 to {found.positions}")
    reader = Reader(lines, found.tokenizer, found.program.eos)
    ahead = buffer_size or batch_size * BATCHES_AHEAD
    limits = Limits(batch_size, batch_size * length, ahead, threads)
    work = partial(_log2, found.engine)
    pieces = windows(reader, found.program.start, length)
    total = sum(chain.from_iterable(in_order(pieces, work, lambda w: len(w.tokens), limits)))
    if not reader.tokens:
        raise UserError("there is no text to measure")
    reader.unknown.tell(warn)
    return Perplexity(reader.words, reader.tokens, total)


def _log2(engine: Engine, batch: list[Window]) -> list[int]:
    """The log2-probability of the fresh tokens of each window."""
    starts, paths = [w.start for w in batch], [w.tokens for w in batch]
    found = engine.log_probabilities([[] for _ in batch], starts, paths)
    return [sum(tokens[-w.fresh :]) for w, tokens in zip(batch, found, strict=True)]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = shared.command_parser(PROGRAM, "Measure a language model with integers only.", EXAMPLES)
    add = made.add_argument_group("model, input").add_argument
    add("-m", "--model", required=True, help="file of a model without a source")
    add("-i", "--input", metavar="FILE", default="-", help="text (default: -, stdin)")
    add(
        "--window", type=int, metavar="N", help="tokens of a window (default: what the model takes)"
    )
    shared.add_speed(made)
    shared.add_messages(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0, or 1 after an error (2, of usage, exits in argparse)."""
    given = parser().parse_args(arguments)
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    file = command.InputFile("input", given.input, command.complaints(given.strict, console))

    from int8ref.engines.backends import prepare_backend
    from int8ref.files.models import load_model

    _, model = load_model(given.model, console.info, partial(prepare_backend, given.backend))
    speed = given.batch_size, given.threads, given.buffer_size
    begun = time.monotonic()
    found = measure(model, file.lines, given.window, given.backend, *speed, console.warning)
    lines = [
        f"word perplexity   {found.of_words} ({found.words} words)",
        f"token perplexity  {found.of_tokens} ({found.tokens} tokens)",
    ]
    LineWriter(standard_output()).write(lines)
    if given.stats:
        seconds = time.monotonic() - begun
        console.say(f"{seconds:.2f} s: {found.tokens / seconds:.1f} tokens/s")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
