"""Declares the options of messages and errors."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from int8ref.commands.console import LEVELS
from int8ref.commands.parser import Parser
from int8ref.host import installed


def add_messages(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of messages and errors.  Return their group."""
    group = parser.add_argument_group("messages")
    add = group.add_argument
    add(
        "--strict",
        action="store_true",
        help="a line that is too long ends the run; without, it is cut and a warning says so",
    )
    add("--stats", action="store_true", help="at the end, tell counts and speed on stderr")
    add_log_level(add)
    return group


def add_log_level(add: Callable[..., Any]) -> None:
    """Add the options of the log level and the version.  `add`: method of a group of options."""
    add(
        "--log-level",
        choices=LEVELS,
        default="info",
        help="least level of what is told on stderr (default: info)",
    )
    add(
        "-q",
        "--quiet",
        action="store_const",
        const="error",
        dest="log_level",
        help="no progress and no warnings, as --log-level error",
    )
    add("--version", action=_Version, nargs=0, help="tell the version, and end")


class _Version(argparse.Action):
    """Prints the version.  The version is read only if the user asks for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, Parser)
        parser.answer(f"int8ref {installed.ours()}\n")
        parser.exit()
