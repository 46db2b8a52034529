"""Declares the options that the commands share.

This module imports nothing that takes long, because --help and errors of usage must answer at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from int8ref.commands.console import LEVELS
from int8ref.commands.values import count, decimal, one_line, receipt_file, seed, sha256
from int8ref.errors import UserError
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
from int8ref.spec.limits import MAX_BEAM
from int8ref.text.streams import described, standard_output, tell

BATCH_SIZE = 32
MAX_COUNT = 4096
SCORES = ("sentence", "token")
TRANSLATION_MODEL = (
    "model file, or a name (default: en-pt; where that is not installed, one that comes with"
    " int8ref, which is told)"
)
ENCODER = "file of an encoder alone"
LANGUAGE_MODEL = "file of a model without a source"
VERIFIED = "model file, or a name (default: the model whose name is in FILE)"


class Parser(argparse.ArgumentParser):
    """A parser that exits with the right status even if an output stream is closed.

    `print` delays the write to the end of the process.  A failure there would print a traceback and
    give the status 120.
    """

    def print_help(self, file: Any = None) -> None:
        """Implement `argparse.ArgumentParser`.  The help always goes to standard output."""
        self.answer(self.format_help())

    def answer(self, text: str) -> None:
        """Write to standard output.  If this fails, end the process with an error."""
        try:
            standard_output().write_all(text.encode())
        except (OSError, UserError) as error:
            tell(f"int8ref: error: {described(error)}\n")
            self.exit(1)

    def error(self, message: str) -> NoReturn:
        """Implement `argparse.ArgumentParser`."""
        tell(f"{self.format_usage()}{self.prog}: error: {message}\n")
        sys.exit(2)


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
        help="take only the model file with this SHA-256 (default: any); int8ref.translate"
        " --signature prints it",
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
    add("-i", "--input", metavar="FILE", help=f"{content} (default: -, stdin)")
    add("-o", "--output", metavar="FILE", default="-", help="default: -, stdout")
    add("--output-format", choices=formats, help=f"form of a line (default: {usual})")


def add_receipt(add: Callable[..., Any]) -> None:
    """Add the option of the receipt.  `add`: method of a group of options."""
    add(
        "--receipt",
        type=receipt_file,
        metavar="FILE",
        help="write what was run and digests of all results, for int8ref.verify (default: none)",
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
    add(
        "-b",
        "--beam-size",
        type=count(MAX_BEAM),
        metavar="N",
        default=1,
        help="hypotheses kept in each step; 1 is greedy search (default: 1)",
    )
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
        "--shortlist",
        action=argparse.BooleanOptionalAction,
        default=Options.shortlist,
        help="consider only the tokens that the model's lexical shortlist has for the line: faster,"
        " and a little worse (default: --no-shortlist)",
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
    add("--seed", type=seed, metavar="N", help="of what is drawn (default: 0)")


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
