"""Models of the package: a file NAME.safetensors in this folder is the model NAME.

Each model has a card in docs/models/.  The card names the origin of the data and the intended use.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of the models in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def path(name: str) -> Path | None:
    """Return the file of the model of this name, or None if the package has no such model."""
    return FOLDER / f"{name}.safetensors" if name in names() else None
