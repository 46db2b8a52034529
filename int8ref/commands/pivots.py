"""Checks the options of several models in a row."""

from __future__ import annotations

import argparse

from int8ref.files.wanted import pivot_names

PIVOT_REFUSED = {
    "sha256": None, "n_best": None, "distinct": False, "scores": None, "target_prefix": "",
    "prefix_column": False, "receipt": None,
}  # fmt: skip
"""Options that have no meaning for several models in a row, and their harmless values."""


def check_pivot(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Report an error of usage for options that have no meaning for several models in a row."""
    if not pivot_names(given.model):
        return
    for name in PIVOT_REFUSED:
        if getattr(given, name, None) not in (None, False, "", PIVOT_REFUSED[name]):
            parser.error(f"--{name.replace('_', '-')} has no meaning for several models in a row")
    if getattr(given, "resume", False):
        parser.error("--resume takes one model, because its sidecar names one")
    for name, value in (("alignment", "soft"), ("output_format", "nbest")):
        if getattr(given, name, None) == value:
            told = f"--{name.replace('_', '-')} {value}"
            parser.error(f"{told} has no meaning for several models in a row")
