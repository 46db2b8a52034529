"""Declares the options of the lines of large inputs."""

from __future__ import annotations

import argparse

from int8ref.commands.spans import shard
from int8ref.commands.values import MAX_COUNT, count

MAX_LINES = 1 << 40


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
