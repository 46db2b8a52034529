"""A model ready to translate: from text to results, in any number of threads."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from int8ref.engines.backends import Backend, prepare_backend
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.files.models import load_model
from int8ref.options import DEFAULT_OPTIONS, Options
from int8ref.program.program import takes_source
from int8ref.results import Result
from int8ref.text.batching import in_order
from int8ref.text.streams import described
from int8ref.translation import expect
from int8ref.translation.alignment import aligning_attention
from int8ref.translation.ready import (
    DEFAULT_SPEED,
    MAX_BATCH_TOKENS,
    ReadyModel,
    Speed,
    check_alpha,
)
from int8ref.translation.worker import Sentence, Warn, Worker

if TYPE_CHECKING:  # loaded on first use: a translation needs no language model
    from int8ref.language_model import LanguageModel

Pair = tuple[str, str]
"""A sentence and its translation."""
Line = str | tuple[str, str]
"""A sentence; or a sentence and the text that its translation begins with."""
Lines = list[Line] | list[str] | list[tuple[str, str]] | tuple[Line, ...]


@overload
def load(
    name_or_path: Literal["en-pt", "pt-en", "en-de-tatoeba"],
    backend: Backend = ...,
    *,
    batch_size: int = ...,
    threads: int = ...,
    buffer_size: int | None = ...,
) -> Translator: ...


@overload
def load(
    name_or_path: str | os.PathLike[str],
    backend: Backend = ...,
    *,
    batch_size: int = ...,
    threads: int = ...,
    buffer_size: int | None = ...,
) -> Translator | LanguageModel: ...


def load(
    name_or_path: str | os.PathLike[str],
    backend: Backend = "compiled",
    *,
    batch_size: int = 32,
    threads: int = 1,
    buffer_size: int | None = None,
) -> Translator | LanguageModel:
    """A model file, or a model by name ("en-pt", "pt-en", "en-de-tatoeba"), ready for use.

    It is a `Translator`; or a `LanguageModel`, where the model takes no source.  The first use of a
    name imports that model, and the first use of the compiled backend compiles it for this CPU;
    both take a while and log a warning.  `batch_size` and what follows: see `Speed`.  Raises
    `UserError`.
    """
    speed = Speed(batch_size, threads, buffer_size)
    say = logging.getLogger(__name__).warning
    name = expect.path("name_or_path", name_or_path)
    try:
        path, model = load_model(name, say, partial(prepare_backend, backend))
    except OSError as error:
        raise UserError(described(error)) from error
    if takes_source(model.program):
        return Translator(model, backend, speed, path)
    from int8ref.language_model import LanguageModel

    return LanguageModel(model, backend, speed, path)


class Translator(ReadyModel):
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
        super().__init__(model, backend, speed, path)
        self._worker = Worker(model, backend)

    @overload
    def translate(self, text: str, options: Options = ...) -> Result: ...

    @overload
    def translate(self, text: Lines, options: Options = ...) -> list[Result]: ...

    def translate(
        self, text: str | Lines, options: Options = DEFAULT_OPTIONS
    ) -> Result | list[Result]:
        """The translation of a sentence; or of several, in their order.

        A sentence of several may be a pair: the sentence, and the text that its translation begins
        with, which takes the place of `options.target_prefix`.  Raises `AlignmentError` where an
        alignment is asked of a model that has none, `UserError` where a shortlist is, and
        `WrongTypeError` for anything but text.
        """
        if not isinstance(text, str):
            lines = expect.lines("text", text, "a str or a list of str")
            return list(itertools.chain.from_iterable(self._batches(lines, options)))
        _check(self.model, options)
        text = expect.text("text", text)
        sentence = self._worker.source(text, "the text", None, prefix=options.target_prefix)
        return self._worker.translate([sentence], options)[0]

    def stream(self, lines: Iterable[Line], options: Options = DEFAULT_OPTIONS) -> Iterator[Result]:
        """The translation of each line, in their order, in constant memory.

        A line is a sentence, or a pair as for `translate`.  A result is there as soon as it and
        those before it are done; it waits for no other line.  `lines` is iterated in another
        thread, ahead by a bounded number; what it raises is raised here, after the results of what
        came before.  Raises what `translate` raises.
        """
        return itertools.chain.from_iterable(self.batches(lines, options))

    def batches(
        self, lines: Iterable[Line], options: Options = DEFAULT_OPTIONS, warn: Warn | None = None
    ) -> Iterator[list[Result]]:
        """As `stream`, in lists of what is ready; `warn` is told of lines that are cut."""
        return self._batches(expect.lines("lines", lines), options, warn)

    def _batches(
        self, lines: Iterator[Line], options: Options, warn: Warn | None = None
    ) -> Iterator[list[Result]]:
        """As `batches`, of lines that are checked."""
        _check(self.model, options)
        usual = options.target_prefix
        pairs = (line if isinstance(line, tuple) else (line, usual) for line in lines)
        sentences = (
            self._worker.source(text, f"line {number + 1}", warn, number, prefix)
            for number, (text, prefix) in enumerate(pairs)
        )
        work = partial(self._worker.translate, options=options)
        limits = self.speed.limits(MAX_BATCH_TOKENS // options.rows)
        return in_order(sentences, work, _size, limits)

    def score(self, source: str, translation: str, options: Options = DEFAULT_OPTIONS) -> Result:
        """A given translation with its scores; of `options`, normalisation and alignment count.

        Raises `WrongTypeError` for anything but text, `AlignmentError` as `translate`, and
        `UserError` where the model would see nothing of the source.
        """
        _check(self.model, options)
        texts = expect.text("source", source), expect.text("translation", translation)
        pair = self._worker.pair(*texts, "the text", None)
        return self._worker.score([pair], options)[0]

    def stream_scores(
        self, pairs: Iterable[Pair], options: Options = DEFAULT_OPTIONS
    ) -> Iterator[Result]:
        """Many given translations with their scores: to `score` what `stream` is to `translate`.

        Raises what `score` raises.
        """
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
        return in_order(sentences, work, _size_of_pair, self.speed.limits(MAX_BATCH_TOKENS))


def _check(model: Model, options: Options) -> None:
    expect.instance("options", options, Options)
    if options.shortlist and model.shortlist is None:
        raise UserError(f"model {model.name} has no shortlist beside it")
    if options.alignment is not None:
        aligning_attention(model.program)
    check_alpha(model, options)


def _size(sentence: Sentence) -> int:
    return len(sentence.ids)


def _size_of_pair(pair: tuple[Sentence, Sentence]) -> int:
    return sum(map(_size, pair))
