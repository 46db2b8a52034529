"""The small files of a run: its configuration and its scores."""

from __future__ import annotations

import json
from pathlib import Path

from training.config import Config, build

LOG = "log.jsonl"
CONFIG = "config.json"
SCORES = "scores.json"
INTEGER_SCORES = "integer_scores.json"

SPLITS = "valid", "test"
BEAMS = 1, 5
"""Beam sizes of the scores of a finished run, in float and in integers."""


def float_model(run: Path, name: str) -> Path:
    """Return the file of the averaged weights of a finished run."""
    return run / f"{name}.safetensors"


def integer_model(run: Path, name: str) -> Path:
    """Return the file of the int8 model of a finished run."""
    return run / f"{name}-int8.safetensors"


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_config(run: Path) -> Config:
    """Return the configuration of a run."""
    return build(json.loads((run / CONFIG).read_text(encoding="utf-8")))
