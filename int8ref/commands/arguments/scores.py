"""Declares the options of scores and alignment."""

from __future__ import annotations

import argparse

from int8ref.commands.values import decimal
from int8ref.options import ALIGNMENTS, NORMALIZATIONS

SCORES = ("sentence", "token")


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


def check_normalization(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage if an option of the normalisation has no effect."""
    if given.alpha and given.normalization == "none":
        parser.error("--alpha does nothing with --normalization none")
    if given.alpha == 0 and given.normalization not in (None, "none"):
        told = f"--normalization {given.normalization} does nothing with --alpha 0"
        parser.error(f"{told}: give another --alpha, such as 1")
