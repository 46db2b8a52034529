"""What a document needs of a translator, and the options of documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from int8ref.options import Options

if TYPE_CHECKING:  # imported on first use, because --help must answer at once
    from int8ref.results import Languages, Result

DEFAULT_OPTIONS = Options(copy_unknown=True)
"""The options of documents."""


class Translates(Protocol):
    """What a document needs of a translator: `Translator` and `Pivot` have it."""

    @property
    def languages(self) -> Languages:
        """The languages of the model."""
        ...

    def fits(self, text: str, options: Options = ...) -> bool:
        """Return whether a text is short enough."""
        ...

    def stream(self, lines: Iterable[str], options: Options = ...) -> Iterator[Result]:
        """Yield the result of each line."""
        ...
