"""Declares the options that the commands share.

This module imports nothing that takes long, because --help and errors of usage must answer at once.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any

from int8ref.commands.console import LEVELS
from int8ref.commands.parser import Parser
from int8ref.commands.spans import shard
from int8ref.commands.table import program
from int8ref.commands.values import (
    bias,
    count,
    decimal,
    number_in,
    one_line,
    receipt_file,
    seed,
    sha256,
    some_text,
    token,
)
from int8ref.files.wanted import WantedModel
from int8ref.host import installed
from int8ref.host.processors import processors
from int8ref.options import (
    ALIGNMENTS,
    MAX_LENGTH,
    NORMALIZATIONS,
    SAMPLING,
    Options,
)
from int8ref.spec.adjusting import LISTS, NUMBERS
from int8ref.spec.limits import MAX_BEAM

BATCH_SIZE = 32
MAX_COUNT = 4096
MAX_LINES = 1 << 40
SCORES = ("sentence", "token")
TRANSLATION_MODEL = (
    "model file, or a name; names with commas between translate one after another (default: en-pt;"
    " where that is not installed, one that comes with int8ref, which is told)"
)
ENCODER = "file of an encoder alone"
LANGUAGE_MODEL = "file of a model without a source"
VERIFIED = "model file, or a name (default: the model whose name is in FILE)"


def command_parser(program: str, description: str, epilog: str) -> Parser:
    """Return a parser whose help shows the examples unchanged."""
    return Parser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_model(add: Callable[..., Any], about: str = TRANSLATION_MODEL) -> None:
    """Add the options of the model.

    `add`: method of a group of options.  `about`: the kind of model.  Only the kinds
    TRANSLATION_MODEL and VERIFIED have a default, because no other model has a name.
    """
    add("-m", "--model", required=about not in (TRANSLATION_MODEL, VERIFIED), help=about)
    add(
        "--sha256",
        type=sha256,
        metavar="HEX",
        help="take only the model file with this SHA-256 (default: any), which"
        f" {program('int8ref.translate')} --signature prints",
    )


def wanted_model(given: argparse.Namespace) -> WantedModel:
    """Return the model that a command line asks for."""
    return WantedModel(given.model, given.sha256)


def add_languages(add: Callable[..., Any]) -> None:
    """Add the options of the languages of a run.  `add`: method of a group of options."""
    for side, what in (("source", "sources"), ("target", "translations")):
        add(
            f"--{side}-language",
            metavar="CODE",
            help=f"language of the {what}, for a model of many languages, such as NLLB"
            " (default: the model's own)",
        )


def add_streams(
    parser: argparse.ArgumentParser, content: str, formats: Sequence[str], usual: str
) -> None:
    """Add the options of the model, the input and the output.

    `content`: description of an input line.  `usual`: description of the default format.
    """
    add = parser.add_argument_group("model, input, output").add_argument
    add_model(add)
    add_languages(add)
    add_files(add, content)
    add("--output-format", choices=formats, help=f"form of a line (default: {usual})")


def add_files(add: Callable[..., Any], content: str) -> None:
    """Add the options of the input and the output.  `add`: method of a group of options."""
    add(
        "-i",
        "--input",
        metavar="FILE",
        nargs="+",
        help=f"{content} (default: -, stdin); .gz, .xz and .zst are decompressed",
    )
    add(
        "-o",
        "--output",
        metavar="FILE",
        default="-",
        help="default: -, stdout; .gz, .xz and .zst are compressed; a folder for several inputs,"
        " where each output has the name of its input",
    )


def add_lines(
    parser: argparse.ArgumentParser,
    members: tuple[str, ...] = ("text",),
    optional: str | None = None,
    columns: bool = True,
) -> None:
    """Add the options of large inputs, and of the form of an input line.

    members   members of a JSON document that the command reads
    optional  a further member that may be missing
    columns   whether the command reads one column of a table
    """
    add = parser.add_argument_group("lines of the input").add_argument
    read = " and ".join(f'"{name}"' for name in members)
    add(
        "--input-format",
        choices=("text", "json"),
        default="text",
        help=f"json: a line is a JSON document with the member {read} (default: text)",
    )
    if columns:
        add(
            "--tsv",
            type=count(MAX_COUNT),
            metavar="COLUMN",
            help="a line has columns with tabs between them: replace this column, from 1, by its"
            " result, and keep the others",
        )
    add(
        "--first-line",
        type=count(MAX_LINES),
        metavar="N",
        default=1,
        help="number of the first line, where the input is a part of a larger one; ids and draws"
        " depend on it (default: 1)",
    )
    add(
        "--shard",
        type=shard,
        metavar="I/N",
        help="only the I-th of N blocks of lines, which keep their numbers: the outputs of all"
        " shards, one after another, are the output of one run",
    )
    add(
        "--resume",
        action="store_true",
        help="go on with the output of a run that ended early; FILE.int8ref beside it says what"
        " the run was",
    )
    parser.set_defaults(members=members, optional_member=optional, tsv=None)


def check_lines(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage for options of large inputs that exclude each other."""
    for name in ("shard", "resume"):
        if getattr(given, name) and (given.text or given.input is None):
            parser.error(f"--{name} needs --input FILE, which is read twice")
    if given.text and given.input is not None:
        parser.error("text as arguments and --input exclude each other")
    if len(given.input or ()) > 1 and given.output == "-":
        told = "several inputs need --output FOLDER"
        parser.error(f"{told}; text as arguments and --input exclude each other")
    if given.resume and given.output == "-":
        parser.error("--resume needs --output FILE")
    receipt = getattr(given, "receipt", None)
    if given.resume and receipt:
        parser.error(
            "--resume and --receipt exclude each other, because a receipt needs the tokens of"
            " every line; give each --shard a receipt"
        )
    if receipt and len(given.input or ()) > 1:
        parser.error("--receipt is for one input")
    if given.tsv is not None:
        if given.input_format == "json" or getattr(given, "prefix_column", False):
            parser.error("--tsv excludes --input-format json and --prefix-column")
        if given.output_format not in (None, "text"):
            parser.error("--tsv needs --output-format text, because the result is a column")
    if given.input_format == "json" and getattr(given, "prefix_column", False):
        parser.error(f"--prefix-column excludes JSON, which has {given.optional_member!r}")


def add_receipt(add: Callable[..., Any]) -> None:
    """Add the option of the receipt.  `add`: method of a group of options."""
    add(
        "--receipt",
        type=receipt_file,
        metavar="FILE",
        help="write what was run and digests of all results, for"
        f" {program('int8ref.verify')} (default: none)",
    )


def add_scores(
    parser: argparse.ArgumentParser, normalization: str, scores: str | None = None
) -> None:
    """Add the options of scores and alignment.  `normalization`, `scores`: the defaults."""
    add = parser.add_argument_group("scores and alignment").add_argument
    add(
        "--scores",
        nargs="?",
        choices=SCORES,
        const="sentence",
        default=scores,
        help="tell scores: of the sentence, or of each token too"
        f" (default: {scores or 'none'}; without a word: sentence)",
    )
    add(
        "--alignment",
        nargs="?",
        choices=ALIGNMENTS,
        const="hard",
        help="align tokens: hard, a source token for each token, or soft, weights"
        " (default: none; without a word: hard)",
    )
    add(
        "--normalization",
        choices=NORMALIZATIONS,
        help="what the log-probability is divided by: length, n^alpha; gnmt,"
        f" ((5 + n) / 6)^alpha; none (default: {normalization})",
    )
    add(
        "--alpha",
        "--length-penalty",
        type=decimal("alpha"),
        metavar="X",
        help="see --normalization (default: the model's own)",
    )


def add_backend(add: Callable[..., Any], usual: str) -> None:
    """Add the option of the backend.

    `add`: method of a group of options.  `usual`: the default.
    """
    add(
        "--backend",
        choices=("compiled", "reference"),
        default=usual,
        help=f"compiled: fast; reference: plain NumPy (default: {usual})",
    )


def add_speed(parser: argparse.ArgumentParser) -> None:
    """Add the options that change the speed and no result."""
    add = parser.add_argument_group("speed (these change no result)").add_argument
    add_backend(add, "compiled")
    add(
        "--batch-size",
        type=count(MAX_COUNT),
        metavar="N",
        default=BATCH_SIZE,
        help=f"most sentences computed together (default: {BATCH_SIZE})",
    )
    add(
        "--buffer-size",
        type=count(MAX_COUNT * 16),
        metavar="N",
        help="most lines read ahead; 1: line by line.  No line waits for another, whatever N is"
        " (default: 16 times the batch size)",
    )
    add(
        "--threads",
        type=count(MAX_COUNT),
        metavar="N",
        default=processors(),
        help="cores: batches computed at once, or threads on one batch of a large model (default:"
        f" the processors, here {processors()})",
    )


def add_messages(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of messages and errors.  Return their group."""
    group = parser.add_argument_group("messages")
    add = group.add_argument
    add(
        "--strict",
        action="store_true",
        help="a line that is too long ends the run; without, it is cut and a warning says so",
    )
    add("--stats", action="store_true", help="at the end, tell counts and speed on stderr")
    add_log_level(add)
    return group


def add_log_level(add: Callable[..., Any]) -> None:
    """Add the options of the log level and the version.  `add`: method of a group of options."""
    add(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="least level of what is told on stderr (default: info)",
    )
    add(
        "-q",
        "--quiet",
        action="store_const",
        const="error",
        dest="log_level",
        help="no progress and no warnings, as --log-level error",
    )
    add("--version", action=_Version, nargs=0, help="tell the version, and end")


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add the options of the search."""
    add = parser.add_argument_group("search").add_argument
    _add_beam(add)
    add(
        "--n-best",
        type=count(MAX_BEAM),
        metavar="N",
        help="translations of each line, at most --beam-size (default: 1)",
    )
    add(
        "--distinct",
        action="store_true",
        help="in a list, keep the best of translations with the same text; there may be fewer then",
    )
    add(
        "--target-prefix",
        type=one_line,
        metavar="TEXT",
        default="",
        help="text that every translation begins with (default: none)",
    )
    add(
        "--prefix-column",
        action="store_true",
        help="a line is a sentence, a tab and the text that its translation begins with; a line"
        " without a tab begins with --target-prefix",
    )
    _add_copy_unknown(add, Options.copy_unknown)
    _add_limits(add)


def add_document_search(parser: argparse.ArgumentParser) -> None:
    """Add the options of the search that are meant for documents."""
    add = parser.add_argument_group("search").add_argument
    _add_beam(add)
    _add_copy_unknown(add, True)
    _add_limits(add)


def _add_beam(add: Callable[..., Any]) -> None:
    add(
        "-b",
        "--beam-size",
        type=count(MAX_BEAM),
        metavar="N",
        default=1,
        help="hypotheses kept in each step; 1 is greedy search (default: 1)",
    )
    add(
        "--shortlist",
        action=argparse.BooleanOptionalAction,
        default=Options.shortlist,
        help="consider only the tokens that the model's lexical shortlist has for the line: faster,"
        " and a little worse (default: --no-shortlist)",
    )


def _add_limits(add: Callable[..., Any]) -> None:
    add(
        "--max-length",
        type=count(MAX_LENGTH),
        metavar="N",
        help="most tokens of a translation (default: no limit but that of the next option)",
    )
    add(
        "--max-length-factor",
        type=decimal("max_length_factor"),
        metavar="X",
        help="most tokens of a translation, as a multiple of its source's"
        " (default: the model's own, usually 2.5)",
    )


def _add_copy_unknown(add: Callable[..., Any], usual: bool) -> None:
    """Add the option that carries over unknown text.  `usual`: the default."""
    add(
        "--copy-unknown",
        action=argparse.BooleanOptionalAction,
        default=usual,
        help="carry over characters that the vocabulary lacks, emoji, tags, placeholders, URLs and"
        f" e-mail addresses by the alignment (default: --{'' if usual else 'no-'}copy-unknown)",
    )


def add_sampling(parser: argparse.ArgumentParser, n_best: str = "") -> None:
    """Add the options of sampling.  `n_best`: text for the help about --n-best."""
    add = parser.add_argument_group("sampling").add_argument
    add(
        "--temperature",
        type=decimal("temperature"),
        metavar="X",
        default=0,
        help="draw tokens by their probability, after logits are divided by X"
        f"{n_best}; 0: do not (default: 0)",
    )
    add(
        "--top-k",
        type=count(1 << 20),
        metavar="N",
        help="draw from the N likeliest tokens (default: from all)",
    )
    add(
        "--top-p",
        type=decimal("top_p"),
        metavar="X",
        help="draw from the likeliest tokens that have X of the probability (default: 1, all)",
    )
    add(
        "--min-p",
        type=decimal("min_p"),
        metavar="X",
        help="draw from the tokens that are at least X times as likely as the likeliest"
        " (default: 0, all)",
    )
    add("--seed", type=seed, metavar="N", help="of what is drawn (default: 0)")


def add_adjusting(parser: argparse.ArgumentParser) -> None:
    """Add the options that adjust logits."""
    add = parser.add_argument_group("adjustments of the logits").add_argument
    for one in NUMBERS:
        number: Any = decimal(one.name) if one.decimal else number_in(one.low, one.high)
        flag = f"--{one.name.replace('_', '-')}"
        add(flag, type=number, metavar="X" if one.decimal else "N", help=one.about)
    several = {
        "--logit-bias": (bias, "ID:X", "logit_bias", "add X to the logit of token ID"),
        "--suppress-token": (token, "ID", "suppress_tokens", "never choose token ID"),
        "--choice": (some_text, "TEXT", "choices", "choose only TEXT, or another --choice"),
    }
    for flag, (kind, shape, dest, about) in several.items():
        told = f"{about}; may be repeated (default: none)"
        add(flag, type=kind, metavar=shape, dest=dest, action="append", help=told)


def adjusting_told(options: Options) -> dict[str, object]:
    """Return the options that adjust logits and are not neutral, for a signature."""
    names = (*(one.name for one in NUMBERS), *LISTS)
    usual = {f.name: f.default for f in fields(Options)}
    told = {name: getattr(options, name) for name in names}
    return {
        name.replace("_", "-"): json.dumps([str(one) for one in value])
        if isinstance(value, tuple)
        else value
        for name, value in told.items()
        if value != usual[name]
    }


def check_useless(
    parser: argparse.ArgumentParser, given: argparse.Namespace, names: Iterable[str], why: str
) -> None:
    """Report an error of usage if one of these options is given, because it has no effect.

    `why`: the rest of the sentence "--OPTION does nothing ...".
    """
    for name in names:
        if getattr(given, name) is not None:
            parser.error(f"--{name.replace('_', '-')} does nothing {why}")


def check_sampling(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage if an option of sampling is given without a temperature."""
    if not given.temperature:
        check_useless(parser, given, SAMPLING, "without --temperature")


def check_normalization(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage if an option of the normalisation has no effect."""
    if given.alpha and given.normalization == "none":
        parser.error("--alpha does nothing with --normalization none")
    if given.alpha == 0 and given.normalization not in (None, "none"):
        told = f"--normalization {given.normalization} does nothing with --alpha 0"
        parser.error(f"{told}: give another --alpha, such as 1")


def options_of(given: argparse.Namespace, **others: Any) -> Options:
    """Return the `Options` of a command line.  `others`: further options."""
    named = {f.name: getattr(given, f.name, None) for f in fields(Options)}
    chosen = {name: value for name, value in named.items() if value is not None}
    return Options(**{**chosen, **others})


class _Version(argparse.Action):
    """Prints the version.  The version is read only if the user asks for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, Parser)
        parser.answer(f"int8ref {installed.ours()}\n")
        parser.exit()
