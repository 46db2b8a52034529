"""Returns the options that a command line chooses."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from int8ref.options import Options


def chosen_options(given: argparse.Namespace, **others: Any) -> Options:
    """Return the `Options` of a command line.  `others`: further options."""
    named = {f.name: getattr(given, f.name, None) for f in fields(Options)}
    chosen = {name: value for name, value in named.items() if value is not None}
    return Options(**{**chosen, **others})
