"""Models that come with the package: a file NAME.safetensors here is the model NAME.

Each has a card in docs/models/, which says whose data it is made from and what it is good for.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The models there are, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def path(name: str) -> Path | None:
    """The file of the model of this name; None if none comes with the package."""
    return FOLDER / f"{name}.safetensors" if name in names() else None
