"""A model ready to translate: from text to results, in any number of threads."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, overload

from int8ref.engines.backends import Backend, prepare_backend
from int8ref.errors import UserError
from int8ref.files import model_file
from int8ref.files.container import DIGEST_BYTES, map_file
from int8ref.files.model_file import Model
from int8ref.files.models import load_model
from int8ref.files.shortlist import beside
from int8ref.options import OptionError, Options
from int8ref.results import Result
from int8ref.text.batching import Limits, in_order
from int8ref.text.streams import described
from int8ref.translation import expect
from int8ref.translation.alignment import aligning_attention
from int8ref.translation.worker import Sentence, Warn, Worker

MAX_BATCH_TOKENS = 4096
"""Most source tokens of a batch, counted once for each hypothesis that is kept."""
WINDOW_BATCHES = 16
"""Lines are read ahead for so many batches, so that batches of like length can be made."""
MAX_RESTORED = 4
"""Translators that a process keeps of those it has unpickled."""

Pair = tuple[str, str]
"""A sentence and its translation."""


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

    def limits(self, beam_size: int) -> Limits:
        """What it means for a stream of sentences with so many hypotheses each."""
        return Limits(
            batch_size=self.batch_size,
            batch_total=MAX_BATCH_TOKENS // beam_size,
            read_ahead=self.buffer_size or self.batch_size * WINDOW_BATCHES,
            threads=self.threads,
        )


DEFAULT_OPTIONS = Options()
DEFAULT_SPEED = Speed()


def load(
    name_or_path: str | os.PathLike[str],
    backend: Backend = "compiled",
    *,
    batch_size: int = 32,
    threads: int = 1,
    buffer_size: int | None = None,
) -> Translator:
    """A Translator of a model file, or of a model by name: "en-pt", "pt-en".

    The first use of a name imports that model, and the first use of the compiled backend compiles
    it for this CPU; both take a while and log a warning.  `batch_size` and what follows: see
    `Speed`.  Raises `UserError`.
    """
    speed = Speed(batch_size, threads, buffer_size)
    say = logging.getLogger(__name__).warning
    name = expect.path("name_or_path", name_or_path)
    try:
        path, model = load_model(name, say, partial(prepare_backend, backend))
    except OSError as error:
        raise UserError(described(error)) from error
    return Translator(model, backend, speed, path)


class Translator:
    """Translates and scores text.  Immutable; may be used from several threads at once.

    Nothing but the model, the text and the options changes a bit of a result.  `path` is the file
    of the model, if there is one: a pickle of the Translator then names it instead of holding the
    model, and opens where that very file is.  Raises `UserError` for a model without an encoder, or
    whose tokenizers do not fit its program.
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
        self._worker = Worker(model, backend)

    @overload
    def translate(self, text: str, options: Options = ...) -> Result: ...

    @overload
    def translate(
        self, text: list[str] | tuple[str, ...], options: Options = ...
    ) -> list[Result]: ...

    def translate(
        self, text: str | list[str] | tuple[str, ...], options: Options = DEFAULT_OPTIONS
    ) -> Result | list[Result]:
        """The translation of a sentence; or of several, in their order.

        Raises `AlignmentError` where an alignment is asked of a model that has none, `UserError`
        where a shortlist is, and `WrongTypeError` for what is no text.
        """
        if not isinstance(text, str):
            texts = expect.texts("text", text, "a str or a list of str")
            return list(itertools.chain.from_iterable(self._batches(texts, options)))
        _check(self.model, options)
        text = expect.text("text", text)
        sentence = self._worker.source(text, "the text", None)
        return self._worker.translate([sentence], options)[0]

    def stream(self, lines: Iterable[str], options: Options = DEFAULT_OPTIONS) -> Iterator[Result]:
        """The translation of each line, in their order, in constant memory.

        A result is there as soon as it and those before it are done; it waits for no other line.
        `lines` is iterated in another thread, ahead by a bounded number; what it raises is raised
        here, after the results of what came before.
        """
        return itertools.chain.from_iterable(self.batches(lines, options))

    def batches(
        self, lines: Iterable[str], options: Options = DEFAULT_OPTIONS, warn: Warn | None = None
    ) -> Iterator[list[Result]]:
        """As `stream`, in lists of what is ready; `warn` is told of lines that are cut."""
        return self._batches(expect.texts("lines", lines), options, warn)

    def _batches(
        self, lines: Iterator[str], options: Options, warn: Warn | None = None
    ) -> Iterator[list[Result]]:
        """As `batches`, of texts that are some."""
        _check(self.model, options)
        sentences = (
            self._worker.source(line, f"line {number}", warn, number - 1)
            for number, line in enumerate(lines, start=1)
        )
        work = partial(self._worker.translate, options=options)
        return in_order(sentences, work, _size, self.speed.limits(options.rows))

    def score(self, source: str, translation: str, options: Options = DEFAULT_OPTIONS) -> Result:
        """A given translation with its scores; of `options`, normalisation and alignment count."""
        _check(self.model, options)
        texts = expect.text("source", source), expect.text("translation", translation)
        pair = self._worker.pair(*texts, "the text", None)
        return self._worker.score([pair], options)[0]

    def stream_scores(
        self, pairs: Iterable[Pair], options: Options = DEFAULT_OPTIONS
    ) -> Iterator[Result]:
        """Many given translations with their scores: to `score` what `stream` is to `translate`."""
        return itertools.chain.from_iterable(self.score_batches(pairs, options))

    def score_batches(
        self, pairs: Iterable[Pair], options: Options = DEFAULT_OPTIONS, warn: Warn | None = None
    ) -> Iterator[list[Result]]:
        """As `stream_scores`, in lists of what is ready; `warn` is told of lines that are cut."""
        _check(self.model, options)
        sentences = (
            self._worker.pair(*pair, f"line {number}", warn)
            for number, pair in enumerate(expect.pairs("pairs", pairs), start=1)
        )
        work = partial(self._worker.score, options=options)
        return in_order(sentences, work, _size_of_pair, self.speed.limits(1))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._file is None:
            return Translator, (self.model, self.backend, self.speed)
        return _restore, (*self._file, self.backend, self.speed)


@lru_cache(MAX_RESTORED)
def _restore(path: str, digest: str, backend: Backend, speed: Speed) -> Translator:
    """What a pickle becomes: one Translator in each process, however many tasks it is sent with."""
    model = model_file.load(path)
    if _digest(Path(path)) != digest:
        raise UserError(f"{path}: not the model that the pickled Translator had")
    return Translator(model, backend, speed, Path(path))


def _digest(path: Path) -> str:
    """The digest that a model's file ends with, and that of its shortlist."""
    files = [path, beside(path)]
    return " ".join(map_file(file)[-DIGEST_BYTES:].hex() for file in files if file.exists())


def _check(model: Model, options: Options) -> None:
    expect.instance("options", options, Options)
    if options.shortlist and model.shortlist is None:
        raise UserError(f"model {model.name} has no shortlist beside it")
    if options.alignment is not None:
        aligning_attention(model.program)
    if options.alpha is None and options.normalization != "none":
        try:
            options.check_alpha(model.program.alpha)
        except OptionError as error:
            raise OptionError(f"model {model.name}: {error}") from None


def _size(sentence: Sentence) -> int:
    return len(sentence.ids)


def _size_of_pair(pair: tuple[Sentence, Sentence]) -> int:
    return sum(map(_size, pair))
