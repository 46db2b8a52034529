"""Completion of command lines, which a shell asks for with each tab.  The library is argcomplete.

The shell runs `int8ref` with the variable _ARGCOMPLETE, and with the line in COMP_LINE and
COMP_POINT.  Only the parser of the command of the line is built.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from int8ref.commands.parser import Parser
from int8ref.commands.table import COMMANDS
from int8ref.host import extras

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


def library() -> Any:
    """Return the module argcomplete.  Raises `UserError` if it is not installed."""
    return extras.required("argcomplete", "completion", "completion needs")


def complete() -> None:
    """Write the completions of the line of the shell, and end the process."""
    argcomplete = library()
    line, point = os.environ.get("COMP_LINE", ""), os.environ.get("COMP_POINT", "0")
    words = argcomplete.split_line(line, int(point))[3]
    if len(words) > 1 and words[1] in COMMANDS:
        os.environ["_ARGCOMPLETE"] = "2"  # the parser reads the words after the second word
        parser = import_module(COMMANDS[words[1]][0]).parser()
        for action in parser._actions:
            if action.dest in ("model", "models"):
                action.completer = _models
    else:
        parser = Parser(prog="int8ref")
        named = parser.add_subparsers()
        for name, (_, about) in COMMANDS.items():
            named.add_parser(name, help=about)
    argcomplete.autocomplete(parser)


def _models(prefix: str, **_: object) -> list[str]:
    """Return the names of models and of files that begin with a prefix."""
    from argcomplete.completers import FilesCompleter

    from int8ref.files import embedded
    from int8ref.files.models import MODELS

    names = [name for name in (*MODELS, *embedded.names()) if name.startswith(prefix)]
    return [*names, *FilesCompleter()(prefix)]
