"""The options of a command as data: the options that can change a result, by their names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from int8ref.options import OptionError

OTHERS = {
    "help", "version", "model", "sha256", "text", "input", "output", "receipt", "signature",
    "resume", "shard",
    "backend", "batch_size", "buffer_size", "threads", "strict", "stats", "log_level",
}  # fmt: skip
"""Options that change no result, and options that other fields of a receipt replace."""

Setting = str | bool | list[str]
"""The text of an option; true for an option without a text; the texts of a repeated option."""


def options(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Return the options of a command that can change a result, by their names without hyphens."""
    return {
        next(s for s in action.option_strings if s.startswith("--"))[2:]: action
        for action in parser._actions
        if action.option_strings and action.dest not in OTHERS
    }


def settings_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> dict[str, Setting]:
    """Return the options of a command line that are not the defaults."""
    found = {name: getattr(given, action.dest) for name, action in options(parser).items()}
    usual = {name: action.default for name, action in options(parser).items()}
    return {
        name: _setting(value)
        for name, value in found.items()
        if value is not None and value != usual[name]
    }


def arguments_of(parser: argparse.ArgumentParser, settings: Mapping[str, Setting]) -> list[str]:
    """Return the command line of options.  Raises `OptionError` if the command lacks an option."""
    known = options(parser)
    for name in settings:
        if name not in known:
            raise OptionError(f"{parser.prog} has no option {name!r}")
    return [text for name, value in settings.items() for text in _arguments(name, value)]


def _setting(value: object) -> Setting:
    if value is True:
        return True
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def _arguments(name: str, value: Setting) -> list[str]:
    if value is True:
        return [f"--{name}"]
    return [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]
