"""Writes checkpoints atomically: a kill never leaves a damaged file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

RESUME = "resume.pt"


def save(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as stream:
        torch.save(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Load tensors, in the memory of the processor, and plain values.

    Any other pickle is rejected and never executed.
    """
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def save_snapshot(folder: Path, step: int, weights: dict[str, Tensor], keep: int) -> None:
    """Store the weights for averaging.  Remove all snapshots except the newest `keep`."""
    save(folder / f"weights-{step:07d}.pt", weights)
    for old in snapshots(folder)[:-keep]:
        old.unlink()


def snapshots(folder: Path) -> list[Path]:
    return sorted(folder.glob("weights-*.pt"))


def average(paths: list[Path]) -> dict[str, Tensor]:
    """Return the mean of several sets of weights, summed in float64."""
    if not paths:
        raise ValueError("no snapshots to average")
    sums = {name: value.double() for name, value in load(paths[0]).items()}
    for path in paths[1:]:
        for name, value in load(path).items():
            sums[name] += value
    return {name: (value / len(paths)).float() for name, value in sums.items()}
