"""`python -m int8ref.generate`: continues the beginnings of texts with a language model."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import arguments as shared
from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.counts import of_a_batch
from int8ref.commands.run_files import RunFiles
from int8ref.commands.values import count
from int8ref.options import MAX_LENGTH
from int8ref.translation.unknown import UnknownCharacters

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.language_model import Continuation

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


def line(number: int, result: Continuation) -> str:
    """Return the prompt and its continuation on one line."""
    from int8ref.text.tokenizers import in_one_line

    return in_one_line(result.text)


def document(number: int, result: Continuation) -> str:
    """Return one JSON document."""
    import msgspec

    members = {"id": number, "prompt": result.prompt, "truncated": result.truncated}
    members |= {"text": result.text, "tokens": result.tokens, "complete": result.complete}
    members |= {"unknown": result.unknown} if result.unknown else {}
    return msgspec.json.encode(members).decode()


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = shared.command_parser(PROGRAM, "Continue texts with integers only.", EXAMPLES)
    made.add_argument("text", nargs="*", help="beginnings of texts, instead of --input")
    streams = made.add_argument_group("model, input, output").add_argument
    shared.add_model(streams, shared.LANGUAGE_MODEL)
    streams("-i", "--input", metavar="FILE", help="beginnings, one a line (default: -, stdin)")
    streams("-o", "--output", metavar="FILE", default="-", help="default: -, stdout")
    streams("--output-format", choices=FORMATS, default="text", help="default: text")
    shared.add_receipt(streams)
    add = made.add_argument_group("search").add_argument
    add(
        "--max-tokens",
        type=count(MAX_LENGTH),
        metavar="N",
        help="most tokens that are added (default: as many as the model has positions for)",
    )
    shared.add_sampling(made)
    shared.add_speed(made)
    shared.add_messages(made)
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
    shared.check_sampling(made, given)
    if given.text and given.input is not None:
        made.error("text as arguments and --input exclude each other")


def _run(given: argparse.Namespace, console: Console) -> None:
    run(given, console, RunFiles(given, console))


def run(given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Continue the texts of `files`."""
    from int8ref.language_model import LanguageModel
    from int8ref.translation.ready import Speed

    path, model = command.load_model(given, console)
    options = shared.options_of(given, max_length=given.max_tokens, logits_digest=files.witnessed)
    speed = Speed(given.batch_size, given.threads, given.buffer_size)
    language_model = LanguageModel(model, given.backend, speed)
    found = language_model.batches(files.lines, options, files.complain, files.drafts)
    written = {"text": line, "json": document}[given.output_format]
    done, added, unknown, begun = 0, 0, UnknownCharacters(), time.monotonic()
    with files.opener("generate", (path, model), parser(), given)(path) as outputs:
        command.invite(files.inputs, console)
        for results in found:
            numbered = enumerate(results, done)
            outputs.write(results, [[written(number, result)] for number, result in numbered])
            done += len(results)
            added += sum(len(result.ids) for result in results)
            for result in results:
                unknown.add(result.unknown)
    unknown.tell(console.warning)
    if given.stats:
        seconds = time.monotonic() - begun
        together = of_a_batch(language_model.threads_of_a_batch)
        console.say(f"{seconds:.2f} s: {added} tokens, {added / seconds:.1f} tokens/s{together}")


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
