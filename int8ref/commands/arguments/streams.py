"""Declares the options of the inputs and outputs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from int8ref.commands.arguments.model import add_languages, add_model
from int8ref.commands.table import program
from int8ref.commands.values import receipt_file


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


def add_receipt(add: Callable[..., Any]) -> None:
    """Add the option of the receipt.  `add`: method of a group of options."""
    add(
        "--receipt",
        type=receipt_file,
        metavar="FILE",
        help="write what was run and digests of all results, for"
        f" {program('int8ref.verify')} (default: none)",
    )
