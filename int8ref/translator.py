"""The translator: translates texts and scores given translations, in any number of threads."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from msgspec.structs import replace

from int8ref.engines.backends import Backend, check_backend, prepare_backend
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.files.models import load_model
from int8ref.files.wanted import WantedModel, pivot_names
from int8ref.options import DEFAULT_OPTIONS, OptionError, Options
from int8ref.program.program import takes_source
from int8ref.results import Languages, Result
from int8ref.search.request import Tokens
from int8ref.text.batching import in_order, together
from int8ref.text.lines import Warn
from int8ref.text.streams import described
from int8ref.translation import expect
from int8ref.translation.alignment import aligning_attention
from int8ref.translation.direction import direction, languages_of
from int8ref.translation.ready import (
    DEFAULT_SPEED,
    MAX_BATCH_TOKENS,
    ReadyModel,
    Speed,
    check_alpha,
)
from int8ref.translation.worker import Sentence, Worker

if TYPE_CHECKING:  # loaded on first use: a translation needs no other kind of model
    from int8ref.encoder import Encoder
    from int8ref.language_model import LanguageModel
    from int8ref.pivot import Pivot

Pair = tuple[str, str]
"""The source text and the given translation."""
Line = str | tuple[str, str]
"""The source text, or the pair (source text, target prefix)."""
Lines = list[Line] | list[str] | list[tuple[str, str]] | tuple[Line, ...]


@overload
def load(
    name_or_path: Literal["en-pt", "pt-en", "en-de-tatoeba"],
    backend: Backend = ...,
    *,
    batch_size: int = ...,
    threads: int = ...,
    buffer_size: int | None = ...,
    sha256: str | None = ...,
) -> Translator: ...


@overload
def load(
    name_or_path: str | os.PathLike[str],
    backend: Backend = ...,
    *,
    batch_size: int = ...,
    threads: int = ...,
    buffer_size: int | None = ...,
    sha256: str | None = ...,
) -> Translator | LanguageModel | Encoder | Pivot: ...


def load(
    name_or_path: str | os.PathLike[str],
    backend: Backend = "compiled",
    *,
    batch_size: int = 32,
    threads: int = 1,
    buffer_size: int | None = None,
    sha256: str | None = None,
) -> Translator | LanguageModel | Encoder | Pivot:
    """Load a model from a file, or by name: "en-pt", "pt-en" or "en-de-tatoeba".

    Returns a `Translator`, a `LanguageModel` if the model takes no source, or an `Encoder` if the
    model has no decoder.  Several names with commas between, such as "pt-en,en-de-tatoeba", give a
    `Pivot`: translators in a row.

    The first use of "en-pt" or "pt-en" imports the model.  The first use of the compiled backend
    compiles it for this CPU.  Both steps take a while, and the logger `int8ref` reports each step
    as a warning.

    backend      "compiled" is fast.  "reference" is plain NumPy.  Both give equal results.
                 Default: "compiled".
    batch_size   see `Speed`.  Default: 32.
    threads      see `Speed`.  Default: 1.
    buffer_size  see `Speed`.  Default: None, which means 16 times batch_size.
    sha256       SHA-256 that the model file must have: 64 hexadecimal digits in either case.
                 Another file is neither parsed nor run.  Default: None, which means any file.

    Raises these errors, all of which are `UserError`:

    WrongTypeError  name_or_path is neither a str nor a path
    OptionError     an argument of `Speed`, the backend or the sha256 is invalid
    ModelError      the model is not found, cannot be imported, or has another SHA-256
    ModelFileError  the file is damaged, or is no model
    TokenizerError  the tokenizer does not fit the program of the model
    """
    check_backend(backend)
    speed = Speed(batch_size, threads, buffer_size)
    say = logging.getLogger(__name__).warning
    wanted = WantedModel(expect.path("name_or_path", name_or_path), sha256)
    if several := pivot_names(wanted.name):
        if sha256 is not None:
            raise OptionError("sha256 has no meaning for several models: it names one file")
        return _pivot(several, backend, speed)
    try:
        path, model = load_model(wanted, say, partial(prepare_backend, backend))
    except OSError as error:
        raise UserError(described(error)) from error
    return ready(model, backend, speed, path)


def ready(
    model: Model,
    backend: Backend = "compiled",
    speed: Speed = DEFAULT_SPEED,
    path: Path | None = None,
) -> Translator | LanguageModel | Encoder:
    """Return the object that runs a model, by its kind.  The parameters are of `Translator`."""
    if model.program.encodes:
        from int8ref.encoder import Encoder

        return Encoder(model, backend, speed, path)
    if takes_source(model.program):
        return Translator(model, backend, speed, path)
    from int8ref.language_model import LanguageModel

    return LanguageModel(model, backend, speed, path)


def _pivot(names: list[str], backend: Backend, speed: Speed) -> Pivot:
    from int8ref.pivot import Pivot

    size, ahead, threads = speed.batch_size, speed.buffer_size, speed.threads
    steps = [
        load(name, backend, batch_size=size, threads=threads, buffer_size=ahead) for name in names
    ]
    for name, step in zip(names, steps, strict=True):
        if not isinstance(step, Translator):
            raise UserError(f"{name}: no translator, so it cannot be a part of a pivot")
    return Pivot([step for step in steps if isinstance(step, Translator)])


class Translator(ReadyModel):
    """Translates texts and scores given translations.

    A Translator is immutable.  Several threads may use it at once.  The model, the text and the
    options determine all bits of a result.  With a temperature, the place of the text in its list
    also takes part.

    model    the content of a model file
    backend  "compiled" or "reference".  Default: "compiled".
    speed    batch size, threads and read-ahead.  Default: `Speed()`.
    path     file of the model, or None.  A pickle of a Translator with a path stores the path and
             the digest of the file instead of the model.  Unpickling reads the file, and raises
             `UserError` if the file is missing or has another digest.  Default: None.

    Raises these errors, all of which are `UserError`:

    UserError       the model has no encoder, or the shortlist belongs to another model
    TokenizerError  a tokenizer does not fit the program of the model
    OptionError     the backend is unknown
    WrongTypeError  model or speed has the wrong type
    """

    def __init__(
        self,
        model: Model,
        backend: Backend = "compiled",
        speed: Speed = DEFAULT_SPEED,
        path: Path | None = None,
    ) -> None:
        super().__init__(model, backend, speed, path)
        self._worker = Worker(model, backend, speed.threads)

    @property
    def threads_of_a_batch(self) -> int:
        """See `ReadyModel.threads_of_a_batch`."""
        return self._worker.threads_of_a_batch

    @property
    def languages(self) -> Languages:
        """The languages that the options `source_language` and `target_language` may name."""
        return languages_of(self.model)

    @overload
    def translate(self, text: str, options: Options = ...) -> Result: ...

    @overload
    def translate(self, text: Lines, options: Options = ...) -> list[Result]: ...

    def translate(
        self, text: str | Lines, options: Options = DEFAULT_OPTIONS
    ) -> Result | list[Result]:
        """Translate one text, or a list of texts.

        Returns one `Result` for one text, and a list of `Result` in the same order for a list.  An
        item of a list is a text or a pair (text, target prefix).  The prefix of a pair replaces
        `options.target_prefix`.  A text that is too long for the model is cut: see
        `Result.truncated`.

        Raises these errors, all of which are `UserError`:

        WrongTypeError  a text is no str, or the options are no `Options`
        TextError       a text contains half a surrogate pair
        AlignmentError  the option alignment is set, and the decoder has no attention to the source
        OptionError     normalization is "length" or "gnmt", and the exponent of the model is 0
        OptionError     the model lacks a language, or needs one that the options lack
        UserError       the option shortlist is set, and the model has no shortlist
        """
        if not isinstance(text, str):
            lines = expect.lines("text", text, "a str or a list of str")
            return list(itertools.chain.from_iterable(self._batches(lines, options)))
        worker = self._chosen(options)
        text = expect.text("text", text)
        sentence = worker.encode_source(text, "the text", None, prefix=options.target_prefix)
        return worker.translate([sentence], options)[0]

    def fits(self, text: str, options: Options = DEFAULT_OPTIONS) -> bool:
        """Return whether the model has room for a text and for a translation of twice its tokens.

        `translate` cuts a text that is longer than the model allows.  Raises `WrongTypeError`,
        `TextError` and `OptionError`, as `translate`.
        """
        return self._chosen(options).fits(expect.text("text", text))

    def stream(self, lines: Iterable[Line], options: Options = DEFAULT_OPTIONS) -> Iterator[Result]:
        """Translate each line, in constant memory.

        Yields one `Result` for each line, in the order of the lines.  A line is a text or a pair
        (text, target prefix), as for `translate`.  The iterator yields a result as soon as this
        result and all results before it are ready.  A result never waits for a later line.  Another
        thread iterates over `lines`.  At most `Speed.buffer_size` lines are read before their
        computation begins.

        Raises the errors of `translate`.  An error of the options is raised at the call.  An error
        of a line, and every exception that `lines` raises, is raised during the iteration: the
        iterator first yields the results of the earlier lines that are ready.
        """
        return itertools.chain.from_iterable(self.batches(lines, options))

    def together(self, texts: Sequence[str], options: Options = DEFAULT_OPTIONS) -> list[Result]:
        """Translate texts in the calling thread, without read-ahead.

        For programs that collect batches themselves, such as a service.  Returns one `Result` for
        each text, in the same order.  The options have no temperature, because the place of a text
        in a batch would select its random numbers.

        Raises the errors of `translate`.
        """
        if options.sampling:
            raise OptionError("temperature is for lists of texts: a batch has no places")
        worker, prefix = self._chosen(options), options.target_prefix
        sentences = [worker.encode_source(text, "the text", None, 0, prefix) for text in texts]
        limits = self.speed.limits(MAX_BATCH_TOKENS // options.rows)
        return together(sentences, partial(worker.translate, options=options), _size, limits)

    def batches(
        self,
        lines: Iterable[Line],
        options: Options = DEFAULT_OPTIONS,
        warn: Warn | None = None,
        drafts: Iterable[Tokens | None] | None = None,
        first: int = 0,
    ) -> Iterator[list[Result]]:
        """Translate each line, and yield lists of results as soon as they are ready.

        The results are in the order of the lines.  `warn` gets a message for each line that is cut.
        The thread that iterates over `lines` calls `warn`.  An exception of `warn` has the effect
        of an exception of `lines`.  Default: no messages.

        `drafts`: for each line, the ids that its translation is expected to have, or None.  With
        the option logits_digest, greedy search reads a right draft instead of searching.  A wrong
        draft changes no result.  Raises ValueError for fewer drafts than lines.  Default: no
        drafts.

        `first`: number of the first line, from 0.  With a temperature, the number of a line takes
        part in its drawing.  Therefore the end of a list, with its own numbers, is translated as
        within the list.  Default: 0.

        Raises the errors of `stream`.
        """
        return self._batches(expect.lines("lines", lines), options, warn, drafts, first)

    def _batches(
        self,
        lines: Iterator[Line],
        options: Options,
        warn: Warn | None = None,
        drafts: Iterable[Tokens | None] | None = None,
        first: int = 0,
    ) -> Iterator[list[Result]]:
        """Implement `batches` for lines whose types are checked."""
        worker, usual = self._chosen(options), options.target_prefix
        pairs = (line if isinstance(line, tuple) else (line, usual) for line in lines)
        sentences = (
            worker.encode_source(text, f"line {number + 1}", warn, number, prefix)
            for number, (text, prefix) in enumerate(pairs, first)
        )
        if drafts is not None:
            sentences = (
                replace(sentence, expected=draft)
                for sentence, draft in zip(sentences, drafts, strict=True)
            )
        work = partial(worker.translate, options=options)
        limits = self.speed.limits(MAX_BATCH_TOKENS // options.rows)
        return in_order(sentences, work, _size, limits)

    def score(self, source: str, translation: str, options: Options = DEFAULT_OPTIONS) -> Result:
        """Score a given translation.

        Returns a `Result` with one translation and its `Scores`.  Only the options normalization,
        alpha, alignment, source_language and target_language have an effect.  A text that is too
        long for the model is cut: see `Result.truncated`.

        Raises these errors, all of which are `UserError`:

        WrongTypeError  a text is no str, or the options are no `Options`
        TextError       a text contains half a surrogate pair
        AlignmentError  the option alignment is set, and the decoder has no attention to the source
        OptionError     normalization is "length" or "gnmt", and the exponent of the model is 0
        OptionError     the model lacks a language, or needs one that the options lack
        UserError       the source has no token and the model adds none, or the option shortlist is
                        set and the model has no shortlist
        """
        worker = self._chosen(options)
        texts = expect.text("source", source), expect.text("translation", translation)
        pair = worker.pair(*texts, "the text", None)
        return worker.score([pair], options)[0]

    def stream_scores(
        self, pairs: Iterable[Pair], options: Options = DEFAULT_OPTIONS
    ) -> Iterator[Result]:
        """Score many pairs (source, translation), in constant memory.

        Yields one `Result` for each pair, in the order of the pairs.  The iteration works as the
        iteration of `stream`.  Raises the errors of `score`, at the times that `stream` describes.
        """
        return itertools.chain.from_iterable(self.score_batches(pairs, options))

    def score_batches(
        self,
        pairs: Iterable[Pair],
        options: Options = DEFAULT_OPTIONS,
        warn: Warn | None = None,
        first: int = 0,
    ) -> Iterator[list[Result]]:
        """Score many pairs, and yield lists of results as soon as they are ready.

        The results are in the order of the pairs.  `warn`, `first`: see `batches`.  Raises the
        errors of `stream_scores`.
        """
        worker = self._chosen(options)
        sentences = (
            worker.pair(*pair, f"line {number}", warn)
            for number, pair in enumerate(expect.pairs("pairs", pairs), start=first + 1)
        )
        work = partial(worker.score, options=options)
        return in_order(sentences, work, _size_of_pair, self.speed.limits(MAX_BATCH_TOKENS))

    def _chosen(self, options: Options) -> Worker:
        """Return the worker for the languages of the options, which are checked."""
        _check(self.model, options)
        chosen = options.source_language, options.target_language
        return self._worker.into(direction(self.model, *chosen))


def _check(model: Model, options: Options) -> None:
    expect.instance("options", options, Options)
    for name in ("stop", "top_logprobs"):
        if getattr(options, name):
            raise OptionError(f"{name} does nothing for a translation")
    if options.shortlist and model.shortlist is None:
        raise UserError(f"model {model.name} has no shortlist beside it")
    if options.alignment is not None:
        aligning_attention(model.program)
    check_alpha(model, options)


def _size(sentence: Sentence) -> int:
    return len(sentence.ids)


def _size_of_pair(pair: tuple[Sentence, Sentence]) -> int:
    return sum(map(_size, pair))
