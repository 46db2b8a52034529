"""The parsers of the commands by module."""

from __future__ import annotations

from importlib import import_module

from int8ref.commands.table import COMMANDS, MAIN

PARSERS = {
    module.removesuffix(MAIN): import_module(module).parser
    for module in sorted(module for module, _ in COMMANDS.values())
}
