"""Declares the options of the search."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from int8ref.commands.values import count, decimal, one_line
from int8ref.options import MAX_LENGTH, Options
from int8ref.spec.limits import MAX_BEAM


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


def add_beam_size(
    add: Callable[..., Any], about: str = "hypotheses kept in each step; 1 is greedy search"
) -> None:
    """Add the option of the beam.  `add`: method of a group of options."""
    add(
        "-b",
        "--beam-size",
        type=count(MAX_BEAM),
        metavar="N",
        default=1,
        help=f"{about} (default: 1)",
    )


def _add_beam(add: Callable[..., Any]) -> None:
    add_beam_size(add)
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
