"""What the families of transformers share: models of some kinds, by titles, fields and names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from weights_import.errors import CheckpointError
from weights_import.sources.hugging_face_config import model_type


@dataclass(frozen=True)
class Kinds:
    """Models of some kinds.

    titles  the title of each kind, by the name that configurations have for it
    """

    titles: Mapping[str, str]

    @property
    def title(self) -> str:
        """The titles for people."""
        return " or ".join(dict.fromkeys(self.titles.values()))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of models, as configurations name them."""
        return tuple(self.titles)

    def holds(self, path: Path, always: str) -> bool:
        """Whether the file has a tensor `always`, and beside it a configuration of one kind."""
        return model_type(path, always) in self.titles

    def check(self, kind: str) -> None:
        """Raises CheckpointError for another kind."""
        if kind not in self.titles:
            raise CheckpointError(f"model_type={kind!r:.60} is of another family")
