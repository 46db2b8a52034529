"""`python -m int8ref.generate`: continues the beginnings of texts with a language model."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command
from int8ref.commands.arguments.adjusting import add_adjusting
from int8ref.commands.arguments.chosen import chosen_options
from int8ref.commands.arguments.lines import add_lines, check_lines
from int8ref.commands.arguments.messages import add_messages
from int8ref.commands.arguments.model import LANGUAGE_MODEL, add_model
from int8ref.commands.arguments.sampling import add_sampling, check_sampling
from int8ref.commands.arguments.scores import check_normalization
from int8ref.commands.arguments.search import add_beam_size
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.arguments.streams import add_files, add_receipt
from int8ref.commands.console import Console
from int8ref.commands.counts import of_a_batch
from int8ref.commands.each import each
from int8ref.commands.parser import command_parser
from int8ref.commands.run_files import RunFiles
from int8ref.commands.settings import settings_of
from int8ref.commands.signature import signature as run_signature
from int8ref.commands.table import program
from int8ref.commands.values import count, decimal, some_text
from int8ref.options import MAX_LENGTH, NORMALIZATIONS
from int8ref.spec.limits import MAX_BEAM
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output
from int8ref.translation.unknown import UnknownCharacters

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path

    from int8ref.files.model_file import Model
    from int8ref.language_model import LanguageModel
    from int8ref.options import Options
    from int8ref.results import Continuation
    from int8ref.translation.prompts import Beginning

PROGRAM = program("int8ref.generate")
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


def line(number: int, result: Continuation) -> list[str]:
    """Return the prompt and its continuation on one line, and a line for each of the n best."""
    from int8ref.text.tokenizers import in_one_line

    return [in_one_line(one.text) for one in (result, *result.others)]


def reply(number: int, result: Continuation) -> list[str]:
    """Return the reply to a conversation on one line, and a line for each of the n best."""
    from int8ref.text.tokenizers import in_one_line

    return [in_one_line(one.added) for one in (result, *result.others)]


def document(number: int, result: Continuation) -> list[str]:
    """Return one JSON document."""
    import msgspec

    members = {"id": number} | result.to_dict()
    return [msgspec.json.Encoder(decimal_format="number").encode(members).decode()]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Continue texts with integers only.", EXAMPLES)
    made.add_argument("text", nargs="*", help="beginnings of texts, instead of --input")
    streams = made.add_argument_group("model, input, output").add_argument
    add_model(streams, LANGUAGE_MODEL)
    add_files(streams, "beginnings, one a line")
    streams(
        "--chat",
        action="store_true",
        help="a line is the message of a user, and the output is the reply (needs a model with a"
        " chat template)",
    )
    streams("--output-format", choices=FORMATS, default="text", help="default: text")
    add_receipt(streams)
    add_lines(made, ("prompt",), "messages")
    add = made.add_argument_group("search").add_argument
    add(
        "--max-tokens",
        type=count(MAX_LENGTH),
        metavar="N",
        help="most tokens that are added (default: as many as the model has positions for)",
    )
    add_beam_size(add)
    add(
        "--n-best",
        type=count(MAX_BEAM),
        metavar="N",
        help="continuations of each line, at most --beam-size, or drawn (default: 1)",
    )
    add(
        "--normalization",
        choices=NORMALIZATIONS,
        help="what log-probabilities of a beam are divided by (default: length)",
    )
    add(
        "--alpha",
        type=decimal("alpha"),
        metavar="X",
        help="exponent of the normalization (default: the model's own, usually 0)",
    )
    add(
        "--stop",
        type=some_text,
        metavar="TEXT",
        action="append",
        help="end a text before TEXT; may be repeated (default: none)",
    )
    add(
        "--top-logprobs",
        type=count(MAX_BEAM),
        metavar="N",
        help="tell the N likeliest tokens of each step, in JSON (default: none)",
    )
    add(
        "--stream",
        action="store_true",
        help="write the added text of each line as it comes, with its line feeds",
    )
    add_adjusting(made)
    add_sampling(made, ", --n-best times")
    add_speed(made)
    add_messages(made).add_argument(
        "--signature",
        action="store_true",
        help="print what makes a run reproducible, and continue nothing",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.  Return its exit status: see `command.run`.

    argparse exits with the status 2 after an error of usage.
    """
    made = parser()
    given = made.parse_args(arguments)
    check(made, given)
    return command.run(partial(_run, given), given.log_level)


def check(made: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage for options that exclude each other, or that have no effect."""
    check_sampling(made, given)
    check_normalization(made, given)
    if (given.n_best or 1) > given.beam_size and not given.temperature:
        made.error(f"--n-best {given.n_best} is more than --beam-size {given.beam_size}")
    if given.temperature and given.beam_size > 1:
        made.error("--beam-size and --temperature exclude each other")
    if given.stop and given.beam_size > 1:
        made.error("--beam-size and --stop exclude each other")
    if given.top_logprobs and given.output_format != "json":
        made.error("--top-logprobs needs --output-format json")
    if given.chat and given.tsv is not None:
        made.error("--chat and --tsv exclude each other")
    if given.chat and given.input_format == "json":
        made.error("--chat and --input-format json exclude each other: JSON has messages")
    if given.stream:
        _check_stream(made, given)
    if given.resume and given.n_best is not None and given.output_format == "text":
        made.error("--resume and --n-best need --output-format json")
    check_lines(made, given)


def _check_stream(made: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage for options that do not go with a stream."""
    for name in ("n_best", "top_logprobs", "receipt", "normalization", "alpha", "tsv"):
        if getattr(given, name) is not None:
            made.error(f"--{name.replace('_', '-')} and --stream exclude each other")
    if given.resume:
        made.error("--resume and --stream exclude each other")
    if given.beam_size > 1 or given.output_format == "json":
        made.error("--stream writes text without a beam")


def _run(given: argparse.Namespace, console: Console) -> None:
    if given.signature:
        _, model = command.load_model(given, console)
        LineWriter(standard_output()).write([signature(model, given)])
    else:
        each(given, console, run)


def signature(model: Model, given: argparse.Namespace) -> str:
    """Return the signature of a run: its options that are not the defaults, and its backend."""
    import json

    settings = settings_of(parser(), given)
    told = {
        name: json.dumps(value) if isinstance(value, list) else value
        for name, value in settings.items()
    }
    return run_signature(model, {**told, "backend": given.backend})


def run(given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Continue the texts of `files`."""
    from int8ref.language_model import LanguageModel
    from int8ref.translation.ready import Speed

    path, model = command.load_model(given, console)
    options = chosen_options(
        given,
        max_length=given.max_tokens,
        n_best=given.n_best or 1,
        top_logprobs=given.top_logprobs or 0,
        scores=given.beam_size > 1,
        logits_digest=files.witnessed,
    )
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    language_model = LanguageModel(model, given.backend, speed)
    items = files.items(given)
    if given.stream:
        _stream(given, language_model, items, options, files, path)
        return
    found = language_model.batches(items, options, files.complain, files.drafts, items.first)
    written = {"text": reply if given.chat else line, "json": document}[given.output_format]
    done, added, unknown, begun = 0, 0, UnknownCharacters(), time.monotonic()
    with files.opener("generate", (path, model), parser(), given)(path) as outputs:
        command.invite(files.inputs, console)
        for results in found:
            numbered = enumerate(results, items.first + done)
            outputs.write(results, [written(number, result) for number, result in numbered])
            done += len(results)
            added += sum(len(result.ids) for result in results)
            for result in results:
                unknown.add(result.unknown)
    unknown.tell(console.warning)
    if given.stats:
        seconds = time.monotonic() - begun
        together = of_a_batch(language_model.threads_of_a_batch)
        console.say(f"{seconds:.2f} s: {added} tokens, {added / seconds:.1f} tokens/s{together}")


def _stream(
    given: argparse.Namespace,
    model: LanguageModel,
    texts: Iterable[Beginning],
    options: Options,
    files: RunFiles,
    path: Path,
) -> None:
    """Write the added text of each text as it comes, and a line feed after it."""
    from dataclasses import replace

    with files.lines_to(path) as writer:
        for text in texts:
            for part in model.write(text, replace(options, scores=False)):
                writer.write_text(part)
            writer.write_text("\n")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
