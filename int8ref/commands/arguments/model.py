"""Declares the options of the model and its languages."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from int8ref.commands.table import program
from int8ref.commands.values import sha256
from int8ref.files.wanted import WantedModel

TRANSLATION_MODEL = (
    "model file, or a name; names with commas between translate one after another (default: en-pt;"
    " where that is not installed, one that comes with int8ref, which is told)"
)
ENCODER = "file of an encoder alone"
LANGUAGE_MODEL = "file of a model without a source"
VERIFIED = "model file, or a name (default: the model whose name is in FILE)"


def add_model(add: Callable[..., Any], about: str = TRANSLATION_MODEL) -> None:
    """Add the options of the model.

    `add`: method of a group of options.  `about`: the kind of model.  Only the kinds
    TRANSLATION_MODEL and VERIFIED have a default, because no other model has a name.
    """
    add("-m", "--model", required=about not in (TRANSLATION_MODEL, VERIFIED), help=about)
    add(
        "--sha256",
        type=sha256,
        metavar="HEX",
        help="take only the model file with this SHA-256 (default: any), which"
        f" {program('int8ref.translate')} --signature prints",
    )


def wanted_model(given: argparse.Namespace) -> WantedModel:
    """Return the model that a command line asks for."""
    return WantedModel(given.model, given.sha256)


def add_languages(add: Callable[..., Any]) -> None:
    """Add the options of the languages of a run.  `add`: method of a group of options."""
    for side, what in (("source", "sources"), ("target", "translations")):
        add(
            f"--{side}-language",
            metavar="CODE",
            help=f"language of the {what}, for a model of many languages, such as NLLB"
            " (default: the model's own)",
        )
