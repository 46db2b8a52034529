"""`python -m int8ref.generate`: beginnings of texts in, continued by a language model."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import arguments as shared
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.counts import UnknownCharacters
from int8ref.options import MAX_LENGTH, OptionError
from int8ref.text.batching import Limits, in_order
from int8ref.text.lines import split_arguments
from int8ref.translation import expect

if TYPE_CHECKING:  # loaded on first use: help and errors of usage must answer at once
    from int8ref.engines.backends import Backend
    from int8ref.files.model_file import Model
    from int8ref.language_model import LanguageModel
    from int8ref.results import Unknown
    from int8ref.search import Sampling

PROGRAM = "python -m int8ref.generate"
FORMATS = ("text", "json")
EXAMPLES = f"""examples:
  {PROGRAM} -m stories.safetensors "Once upon a time"
  {PROGRAM} -m stories.safetensors --temperature 0.9 --top-p 0.95 --seed 7 "Once upon a time"
  {PROGRAM} -m stories.safetensors --max-tokens 50 --output-format json -i lines.txt

One line in is one text out, in the same order, its line feeds as spaces (JSON has them as they
are).  An empty line is a beginning too.  Without --temperature each token is the likeliest; with
it, tokens are drawn by their probability, in integers: the same seed and line number give the same
text for every backend, batch size, number of threads and machine.
"""


@dataclass(frozen=True)
class Prompt:
    """The beginning of a text: its number, from 0, its token ids, whether it had to be cut, and
    what the vocabulary lacks of it."""

    number: int
    text: str
    ids: list[int]
    truncated: bool
    unknown: Unknown


@dataclass(frozen=True)
class Continued:
    """A text and how it went on: `text` is all of it, `ids` what was added, `complete` whether it
    came to its end before its limit, `unknown` what the vocabulary lacks of the beginning, by the
    places in all tokens of it."""

    number: int
    prompt: str
    truncated: bool
    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    complete: bool
    unknown: Unknown = ()


def generate(
    model: Model,
    texts: Iterable[str],
    sampling: Sampling | None = None,
    max_tokens: int | None = None,
    backend: Backend = "compiled",
    batch_size: int = shared.BATCH_SIZE,
    threads: int = 1,
    buffer_size: int | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> Iterator[list[Continued]]:
    """Continue texts, in order: lists of results as soon as they are there.

    `sampling`: how tokens are drawn; without, each is the likeliest.
    `max_tokens`: most tokens that are added; by default as many as the model has positions for.
    Of a beginning that leaves no position, only the last tokens are read, after a `warn`ing.
    Neither the backend nor what follows it changes a result.  `texts` is iterated in another
    thread.  Raises `UserError` for a model that takes a source.
    """
    from int8ref.language_model import LanguageModel
    from int8ref.search import Sampling as Kind

    if sampling is not None:
        expect.instance("sampling", sampling, Kind)
    if max_tokens is not None and (type(max_tokens) is not int or max_tokens < 1):
        raise OptionError(f"max_tokens is {max_tokens!r}, not a positive integer")
    found = LanguageModel.of(model, backend)
    most = found.positions
    limits = Limits(batch_size, batch_size * most, buffer_size or 16 * batch_size, threads)
    work = partial(_continue, found, sampling, max_tokens or most)
    return in_order(_prompts(found, texts, warn), work, lambda p: len(p.ids) + 1, limits)


def _prompts(
    model: LanguageModel, texts: Iterable[str], warn: Callable[[str], None]
) -> Iterator[Prompt]:
    """The beginnings of texts, half of the positions long where they leave none."""
    for number, text in enumerate(expect.texts("texts", texts)):
        ids = model.tokenizer.encode(text)
        unknown = tuple(model.tokenizer.unknown(text, ids))
        truncated = len(ids) >= model.positions
        if truncated:
            kept = model.positions // 2
            warn(f"text {number + 1}: only the last {kept} of {len(ids)} tokens are read")
            ids = ids[-kept:]
        yield Prompt(number, text, ids, truncated, unknown)


def _continue(
    model: LanguageModel, sampling: Sampling | None, max_tokens: int, batch: list[Prompt]
) -> list[Continued]:
    """What becomes of a batch of texts."""
    ids = [prompt.ids for prompt in batch]
    limits = [min(max_tokens, model.positions - len(prompt)) for prompt in ids]
    numbers = [prompt.number for prompt in batch]
    nothing: list[list[int]] = [[] for _ in batch]
    if sampling is None:
        found = model.engine.greedy(nothing, limits, prefixes=ids)
    else:
        found = model.engine.sample(nothing, limits, sampling, numbers, ids)
    return [
        Continued(
            prompt.number,
            prompt.text,
            prompt.truncated,
            model.tokenizer.text([*prompt.ids, *added]),
            tuple(model.tokenizer.pieces(added)),
            tuple(added),
            len(added) < limit,
            prompt.unknown,
        )
        for prompt, added, limit in zip(batch, found, limits, strict=True)
    ]


def line(result: Continued) -> str:
    """All of the text, on one line."""
    from int8ref.text.tokenizers import in_one_line

    return in_one_line(result.text)


def document(result: Continued) -> str:
    """One JSON document."""
    import msgspec

    members = {"id": result.number, "prompt": result.prompt, "truncated": result.truncated}
    members |= {"text": result.text, "tokens": result.tokens, "complete": result.complete}
    members |= {"unknown": result.unknown} if result.unknown else {}
    return msgspec.json.encode(members).decode()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = shared.command_parser(PROGRAM, "Continue texts with integers only.", EXAMPLES)
    made.add_argument("text", nargs="*", help="beginnings of texts, instead of --input")
    streams = made.add_argument_group("model, input, output").add_argument
    streams("-m", "--model", required=True, help="file of a model without a source")
    streams("-i", "--input", metavar="FILE", help="beginnings, one a line (default: -, stdin)")
    streams("-o", "--output", metavar="FILE", default="-", help="default: -, stdout")
    streams("--output-format", choices=FORMATS, default="text", help="default: text")
    add = made.add_argument_group("search").add_argument
    add(
        "--max-tokens",
        type=shared.count(MAX_LENGTH),
        metavar="N",
        help="most tokens that are added (default: as many as the model has positions for)",
    )
    shared.add_sampling(made)
    shared.add_speed(made)
    shared.add_messages(made)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0, or 1 after an error (2, of usage, exits in argparse)."""
    made = parser()
    given = made.parse_args(arguments)
    shared.check_sampling(made, given)
    if given.text and given.input is not None:
        made.error("text as arguments and --input exclude each other")
    return command.run(partial(_run, given), given.log_level)


def _run(given: argparse.Namespace, console: Console) -> None:
    complain = command.complaints(given.strict, console)
    inputs = [] if given.text else [command.InputFile("input", given.input, complain)]
    texts: Iterable[str] = inputs[0].lines if inputs else split_arguments(given.text)

    from int8ref.engines.backends import prepare_backend
    from int8ref.files.models import load_model

    path, model = load_model(given.model, console.info, partial(prepare_backend, given.backend))
    sampling = shared.options_of(given).sampling
    speed = given.backend, given.batch_size, given.threads, given.buffer_size
    found = generate(model, texts, sampling, given.max_tokens, *speed, complain)
    written = {"text": line, "json": document}[given.output_format]
    added, unknown, begun = 0, UnknownCharacters(), time.monotonic()
    with command.open_results(given.output, inputs, path) as writer:
        command.invite(inputs, console)
        for results in found:
            writer.write([written(result) for result in results])
            added += sum(len(result.ids) for result in results)
            for result in results:
                unknown.add(result.unknown)
    unknown.tell(console.warning)
    if given.stats:
        seconds = time.monotonic() - begun
        console.say(f"{seconds:.2f} s: {added} tokens, {added / seconds:.1f} tokens/s")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
