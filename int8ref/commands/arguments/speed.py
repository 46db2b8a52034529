"""Declares the options of the backend and the speed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from int8ref.commands.values import MAX_COUNT, count
from int8ref.host.processors import processors

BATCH_SIZE = 32


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
