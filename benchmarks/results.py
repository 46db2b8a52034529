"""The raw results of a run, in one JSON file that grows block by block."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

FILE = "results.json"
FORMAT = 1

Clock = Literal["wall", "cpu"]


class ResultsError(Exception):
    """The results file cannot be continued or read."""


@dataclass
class Series:
    """Samples of one contestant on one case.

    units   amount of work of a run, such as words
    memory  peak memory after the first run, in KiB
    output  output of the first run, shortened
    wall    wall seconds of a run, one number a round
    cpu     processor seconds of a run, one number a round
    same    True if all later runs gave the output of the first run
    """

    contestant: str
    case: str
    units: float
    memory: int = 0
    output: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    same: bool = True

    def seconds(self, clock: Clock) -> list[float]:
        """Return the seconds of a run, one number a round."""
        return self.wall if clock == "wall" else self.cpu


@dataclass
class BlockResults:
    """The results of one interleaved measurement.  `skipped`: contestant (and case) -> reason."""

    part: str
    name: str
    series: list[Series] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass
class Results:
    """A run: machine, settings and results.  `descriptions`: contestant -> its own description."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    blocks: list[BlockResults] = field(default_factory=list)

    def of(self, part: str) -> list[BlockResults]:
        """Return the blocks of a part in order."""
        return [block for block in self.blocks if block.part == part]

    def has(self, part: str, block: str) -> bool:
        """Return whether a block has been measured."""
        return any(found.name == block for found in self.of(part))

    def forget(self, part: str) -> None:
        """Remove the blocks of a part."""
        self.blocks = [block for block in self.blocks if block.part != part]


def save(folder: Path, results: Results) -> None:
    """Write the file atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE}"
    temporary.write_text(json.dumps({"format": FORMAT, **asdict(results)}, indent=1) + "\n")
    os.replace(temporary, folder / FILE)


def load(folder: Path) -> Results:
    """Read the file.  Raises `ResultsError`."""
    path = folder / FILE
    try:
        content = json.loads(path.read_text())
        if content.pop("format") != FORMAT:
            raise ResultsError(f"{path}: not of format {FORMAT}")
        blocks = [
            BlockResults(**{**block, "series": [Series(**series) for series in block["series"]]})
            for block in content.pop("blocks")
        ]
        return Results(**content, blocks=blocks)
    except FileNotFoundError:
        raise ResultsError(f"{path}: there are no results yet") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(f"{path}: not a results file ({error})") from None


def resume(folder: Path, fresh: Results) -> Results:
    """Return the results in a folder, or `fresh` if the folder has none.

    Raises `ResultsError` if the results belong to another machine or to other settings.
    """
    if not (folder / FILE).exists():
        return fresh
    found = load(folder)
    for what in ("machine", "settings"):
        old, new = getattr(found, what), getattr(fresh, what)
        differs = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        if differs:
            raise ResultsError(
                f"{folder / FILE} was measured with another {what} ({', '.join(differs)}):"
                " choose another folder with --results, or start over with --fresh"
            )
    return found
