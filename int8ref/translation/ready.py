"""The common part of a translator and a language model: a model, a backend, and a speed."""

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
from int8ref.text.batching import BatchLimits
from int8ref.translation import expect

MAX_BATCH_TOKENS = 4096
"""Largest number of source tokens of a batch, multiplied by the number of hypotheses."""
WINDOW_BATCHES = 16
"""Default read-ahead in batches.  A larger window gives batches of more similar lengths."""
MAX_RESTORED = 4
"""Number of unpickled models that a process keeps."""


@dataclass(frozen=True)
class Speed:
    """Sizes of batches, threads and read-ahead.  They change no result.

    batch_size   largest number of sentences that are computed together: at least 1.  Default: 32.
    threads      number of cores: at least 1.  Each core computes a batch.  If there are
                 fewer batches, several threads share one batch, if the model is large.  Default: 1.
    buffer_size  largest number of lines that are read ahead and wait for their computation: at
                 least 1.  Default: None, which means 16 times batch_size.

    Raises `OptionError` if a value is no integer or is less than 1.
    """

    batch_size: int = 32
    threads: int = 1
    buffer_size: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            usual = name == "buffer_size" and value is None
            if not usual and (type(value) is not int or value < 1):
                raise OptionError(f"{name} is {value!r}, not a positive integer")

    def limits(self, batch_total: int, batches: int = 1) -> BatchLimits:
        """Return the limits of a stream.

        batch_total  largest number of tokens of a batch
        batches      number of batches that are one piece of work
        """
        return BatchLimits(
            batch_size=batches * self.batch_size,
            batch_total=batches * batch_total,
            read_ahead=self.buffer_size or self.batch_size * WINDOW_BATCHES,
            threads=self.threads,
        )


DEFAULT_SPEED = Speed()


class ReadyModel:
    """A model that is ready for use.  Immutable: several threads may use it at once.

    `path`: file of the model, or None.  A pickle then stores the path and the digest of the file
    instead of the model.  Unpickling raises `UserError` if the file is missing or has another
    digest.
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

    @property
    def threads_of_a_batch(self) -> int:
        """The largest number of threads that have computed one batch together."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None:
            return type(self), (self.model, self.backend, self.speed)
        return _restore, (type(self), *self._file, self.backend, self.speed)


def check_alpha(model: Model, options: Options) -> None:
    """Raise `OptionError` if the normalisation has no effect with the exponent of the model."""
    if options.alpha is None and options.normalization != "none":
        try:
            options.check_alpha(model.program.alpha)
        except OptionError as error:
            raise OptionError(f"model {model.name}: {error}") from None


Ready = TypeVar("Ready", bound=ReadyModel)


@lru_cache(MAX_RESTORED)
def _restore(kind: type[Ready], path: str, digest: str, backend: Backend, speed: Speed) -> Ready:
    """Unpickle a model.  All pickles of the same model give one object in a process."""
    model = model_file.load(path)
    if _digest(Path(path)) != digest:
        raise UserError(f"{path}: not the model that the pickled {kind.__name__} had")
    return kind(model, backend, speed, Path(path))


def _digest(path: Path) -> str:
    """Return the digests at the ends of the model file and of its shortlist."""
    files = [path, beside(path)]
    return " ".join(map_file(file)[-DIGEST_BYTES:].hex() for file in files if file.exists())
