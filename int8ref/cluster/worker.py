"""A worker: a process of a cluster that holds a model and translates blocks of lines.

This module does not import Ray.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from int8ref.errors import UserError
from int8ref.files.model_file import load
from int8ref.files.shortlist import beside
from int8ref.host.storage import cache_folder, keep
from int8ref.options import Options
from int8ref.results import Result
from int8ref.translation.ready import Speed
from int8ref.translator import Translator

LinesOf = Callable[[int, Result], list[str]]


class SentModel(NamedTuple):
    """A model by value: the bytes of its file and of its shortlist, and the SHA-256 of the file."""

    content: bytes
    shortlist: bytes | None
    sha256: str


class Block(NamedTuple):
    """Lines to translate.  `first`: number of the first line, from 0."""

    first: int
    items: list[Any]


class Translated(NamedTuple):
    """The results of a block.

    lines     the lines of the output, for each line of the block
    warnings  messages about lines that are too long
    unknown   for each line: characters of the source and of the prefix that the vocabulary lacks
    error     message of an error that ends the run, or None
    """

    lines: list[list[str]]
    warnings: list[str]
    unknown: list[tuple[Any, Any]]
    error: str | None = None


def sent(path: Path, sha256: str) -> SentModel:
    """Return a model file by value."""
    lists = beside(path)
    return SentModel(path.read_bytes(), lists.read_bytes() if lists.exists() else None, sha256)


def received(model: SentModel) -> Path:
    """Write a model that was sent to the cache folder of this machine.  Return its path.

    The workers of a machine share the file, and map it.
    """
    path = cache_folder() / f"sent-{model.sha256}.safetensors"
    for target, content in ((beside(path), model.shortlist), (path, model.content)):
        if content is not None and not (target.exists() and target.read_bytes() == content):
            keep(target, content)
    return path


class Worker:
    """Translates blocks with a model.  Raises `UserError` if the model has another SHA-256."""

    def __init__(self, model: SentModel, backend: Any, batch_size: int) -> None:
        content = load(received(model), keep_unpacked=True, sha256=model.sha256)
        self._translator = Translator(content, backend, Speed(batch_size))

    def translate(self, block: Block, options: Options, lines_of: LinesOf) -> Translated:
        """Translate a block.  The result does not depend on the worker."""
        warnings: list[str] = []
        results: Sequence[Result] = []
        try:
            results = [
                result
                for some in self._translator.batches(
                    block.items, options, warnings.append, None, block.first
                )
                for result in some
            ]
        except UserError as error:
            return Translated([], warnings, [], str(error))
        lines = [lines_of(number, result) for number, result in enumerate(results, block.first)]
        return Translated(lines, warnings, [(one.unknown, one.best.unknown) for one in results])
