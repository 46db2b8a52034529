"""Runs a command on each of its inputs: one input to one output, or several into a folder."""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from int8ref.commands import command
from int8ref.commands.console import Console
from int8ref.commands.run_files import RunFiles
from int8ref.errors import UserError
from int8ref.text.streams import STANDARD

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.files.models import ModelFile

Run = Callable[[argparse.Namespace, Console, RunFiles], None]
"""Runs a command line on the lines of files."""
Load = Callable[[argparse.Namespace, Console], Sequence["ModelFile"]]


def _load_one(given: argparse.Namespace, console: Console) -> list[ModelFile]:
    return [command.load_model(given, console)]


def each(given: argparse.Namespace, console: Console, run: Run, load: Load = _load_one) -> None:
    """Run a command on each of its inputs.  Each output is the same as of a run of its own.

    `load` returns the models of a command line.
    """
    if given.text or not given.input or not _into_folder(given):
        run(given, console, RunFiles(given, console))
        return
    outputs = outputs_of(given.input, given.output)
    loaded = load(given, console)
    os.makedirs(given.output, exist_ok=True)
    for place, (source, output) in enumerate(outputs.items(), start=1):
        console.info(f"{source} ({place} of {len(outputs)})")
        one = copy.copy(given)
        one.input, one.output, one.loaded = [source], output, loaded
        run(one, console, RunFiles(one, console))


def _into_folder(given: argparse.Namespace) -> bool:
    folder = given.output.endswith(os.sep) or os.path.isdir(given.output)
    return len(given.input) > 1 or folder or bool(getattr(given, "address", None))


def outputs_of(inputs: list[str], folder: str) -> dict[str, str]:
    """Return the output of each input: a file of the same name in the folder.

    Raises `UserError` for two inputs of one name, and for an input that is missing.
    """
    found: dict[str, str] = {}
    for path in inputs:
        if path == STANDARD:
            raise UserError("several inputs are files: -, stdin, has no name")
        os.stat(path)
        output = os.path.join(folder, Path(path).name)
        if output in found.values():
            raise UserError(f"{path}: another input has the same name, {Path(path).name}")
        found[path] = output
    return found
