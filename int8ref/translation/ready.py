"""What a translator and a language model share: a model, a backend, and a speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from int8ref.engines.backends import Backend
from int8ref.errors import UserError
from int8ref.files import model_file
from int8ref.files.container import DIGEST_BYTES, map_file
from int8ref.files.model_file import Model
from int8ref.files.shortlist import beside
from int8ref.options import OptionError, Options
from int8ref.text.batching import Limits
from int8ref.translation import expect

MAX_BATCH_TOKENS = 4096
"""Most source tokens of a batch, counted once for each hypothesis that is kept."""
WINDOW_BATCHES = 16
"""Lines are read ahead for so many batches, so that batches of like length can be made."""
MAX_RESTORED = 4
"""Models that a process keeps of those it has unpickled."""


@dataclass(frozen=True)
class Speed:
    """How much is done at once; it changes no result.  Raises `OptionError`.

    batch_size   most sentences computed together
    threads      batches computed at once
    buffer_size  most lines read ahead, by default 16 times batch_size
    """

    batch_size: int = 32
    threads: int = 1
    buffer_size: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            usual = name == "buffer_size" and value is None
            if not usual and (type(value) is not int or value < 1):
                raise OptionError(f"{name} is {value!r}, not a positive integer")

    def limits(self, batch_total: int) -> Limits:
        """What it means for a stream of items, of which a batch has `batch_total` tokens at
        most."""
        return Limits(
            batch_size=self.batch_size,
            batch_total=batch_total,
            read_ahead=self.buffer_size or self.batch_size * WINDOW_BATCHES,
            threads=self.threads,
        )


DEFAULT_SPEED = Speed()


class ReadyModel:
    """A model that is ready for use.  Immutable; may be used from several threads at once.

    `path` is the file of the model, if there is one: a pickle then names it instead of holding the
    model, and opens where that very file is.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend = "compiled",
        speed: Speed = DEFAULT_SPEED,
        path: Path | None = None,
    ) -> None:
        self.model = expect.instance("model", model, Model)
        self.backend: Backend = backend
        self.speed = expect.instance("speed", speed, Speed)
        self._file = (str(path.absolute()), _digest(path)) if path else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.model.name}, {self.backend} backend>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None:
            return type(self), (self.model, self.backend, self.speed)
        return _restore, (type(self), *self._file, self.backend, self.speed)


def check_alpha(model: Model, options: Options) -> None:
    """Raises `OptionError` for a normalisation that does nothing with the model's own exponent."""
    if options.alpha is None and options.normalization != "none":
        try:
            options.check_alpha(model.program.alpha)
        except OptionError as error:
            raise OptionError(f"model {model.name}: {error}") from None


Ready = TypeVar("Ready", bound=ReadyModel)


@lru_cache(MAX_RESTORED)
def _restore(kind: type[Ready], path: str, digest: str, backend: Backend, speed: Speed) -> Ready:
    """What a pickle becomes: one object in each process, however many tasks it is sent with."""
    model = model_file.load(path)
    if _digest(Path(path)) != digest:
        raise UserError(f"{path}: not the model that the pickled {kind.__name__} had")
    return kind(model, backend, speed, Path(path))


def _digest(path: Path) -> str:
    """The digest that a model's file ends with, and that of its shortlist."""
    files = [path, beside(path)]
    return " ".join(map_file(file)[-DIGEST_BYTES:].hex() for file in files if file.exists())
