"""Declares the options of sampling."""

from __future__ import annotations

import argparse

from int8ref.commands.parser import check_useless
from int8ref.commands.values import count, decimal, seed
from int8ref.options import SAMPLING


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


def check_sampling(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage if an option of sampling is given without a temperature."""
    if not given.temperature:
        check_useless(parser, given, SAMPLING, "without --temperature")
