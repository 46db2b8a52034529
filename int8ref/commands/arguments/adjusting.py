"""Declares the options of the adjustments of the logits."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from typing import Any

from int8ref.commands.values import bias, decimal, number_in, some_text, token
from int8ref.options import Options
from int8ref.spec.adjusting import LISTS, NUMBERS


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
