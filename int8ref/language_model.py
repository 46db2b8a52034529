"""A language model ready for use: it continues texts, and says how likely texts are."""

from __future__ import annotations

import dataclasses
import itertools
import reprlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import partial
from itertools import chain
from pathlib import Path as FilePath
from typing import overload

from int8ref.engines.backends import Backend, load_engine
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.options import DEFAULT_OPTIONS, OptionError, Options, normalization_of
from int8ref.program.program import takes_source
from int8ref.program.sizes import max_steps, vocabulary_size
from int8ref.results import Scores, Unknown
from int8ref.search import Sampling
from int8ref.search.forced import score
from int8ref.search.request import Path, Request
from int8ref.spec.arithmetic import LOG_BITS
from int8ref.text.batching import in_order
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation import expect
from int8ref.translation.ready import DEFAULT_SPEED, ReadyModel, Speed, check_alpha
from int8ref.translation.scores import scores_of
from int8ref.translation.windows import TextTokens, Window, windows

SAMPLED = ("temperature", "top_k", "top_p", "seed", "max_length")
SCORED = ("normalization", "alpha")
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Continuation:
    """A text and how a language model continued it.

    prompt     the text
    truncated  whether only its last tokens were read, because it left no position
    text       all of it, with what was added
    tokens     the tokens that were added
    ids        their ids
    complete   whether the end of the text was reached before the limit
    unknown    what the vocabulary lacks of the prompt, by places in its tokens
    """

    prompt: str
    truncated: bool
    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    complete: bool
    unknown: Unknown = ()


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts a text of n words, or n tokens: 2^(-L / n).

    words   white-space tokens, the end of a line counted as one
    tokens  tokens of the model, the end of a line counted as one
    log2    L, the sum of the log2-probabilities of the tokens, in units of 2^-20
            (`arithmetic.LOG_BITS`), at most 0
    """

    words: int
    tokens: int
    log2: int

    @property
    def of_words(self) -> Decimal:
        """2^(-L / words), rounded to six decimal places."""
        return _power_of_two(-self.log2, self.words)

    @property
    def of_tokens(self) -> Decimal:
        """2^(-L / tokens), rounded to six decimal places."""
        return _power_of_two(-self.log2, self.tokens)


DIGITS = 6
PRECISION = 40
"""Decimal digits of the one conversion, besides those that a large number needs."""


def _power_of_two(log2: int, count: int) -> Decimal:
    """2^(log2 * 2^-20 / count), rounded to six decimal places."""
    whole = (log2 >> LOG_BITS) // count // 3  # at least as many digits as it has before the point
    with localcontext(prec=PRECISION + whole):
        power = Decimal(2) ** (Decimal(log2) / (count << LOG_BITS))
        return power.quantize(Decimal(1).scaleb(-DIGITS))


@dataclass(frozen=True)
class Prompt:
    """The beginning of a text: its number, from 0, its token ids, whether it had to be cut, and
    what the vocabulary lacks of it."""

    number: int
    text: str
    ids: list[int]
    truncated: bool
    unknown: Unknown


class LanguageModel(ReadyModel):
    """Continues texts and scores them.  Immutable; may be used from several threads at once.

    Nothing but the model, the text and the options changes a bit of a result.  `path`: see
    `int8ref.Translator`.  Raises `UserError` for a model that takes a source, or whose tokenizer
    does not fit its program.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend = "compiled",
        speed: Speed = DEFAULT_SPEED,
        path: FilePath | None = None,
    ) -> None:
        super().__init__(model, backend, speed, path)
        program, tensors = model.program, model.tensors
        if takes_source(program):
            raise UserError(f"model {model.name} translates: a language model takes no source")
        self._engine = load_engine(program, tensors, backend, model.types, model.digest, model.name)
        self._tokenizer = build_tokenizer(model.target, vocabulary_size(program, tensors))
        self._positions = max_steps(program, tensors)

    @overload
    def generate(self, text: str, options: Options = ...) -> Continuation: ...

    @overload
    def generate(
        self, text: list[str] | tuple[str, ...], options: Options = ...
    ) -> list[Continuation]: ...

    def generate(
        self, text: str | list[str] | tuple[str, ...], options: Options = DEFAULT_OPTIONS
    ) -> Continuation | list[Continuation]:
        """How a text goes on; or several texts, in their order.

        Of `options`, temperature, top_k, top_p and seed say how tokens are drawn, and max_length
        how many are added at most (by default, as many as the model has positions for); others are
        refused.  Of a text that leaves no position, only the last tokens are read.  Raises
        `OptionError`, and `WrongTypeError` for anything but text.
        """
        if not isinstance(text, str):
            texts = expect.texts("text", text, "a str or a list of str")
            return list(itertools.chain.from_iterable(self._batches(texts, options)))
        ((found,),) = self._batches(iter([expect.text("text", text)]), options)
        return found

    def stream(
        self, texts: Iterable[str], options: Options = DEFAULT_OPTIONS
    ) -> Iterator[Continuation]:
        """How each text goes on, in their order, in constant memory; see `Translator.stream`."""
        return itertools.chain.from_iterable(self.batches(texts, options))

    def batches(
        self, texts: Iterable[str], options: Options = DEFAULT_OPTIONS, warn: Warn | None = None
    ) -> Iterator[list[Continuation]]:
        """As `stream`, in lists of what is ready; `warn` is told of texts that are cut."""
        return self._batches(expect.texts("texts", texts), options, warn)

    def _batches(
        self, texts: Iterator[str], options: Options, warn: Warn | None = None
    ) -> Iterator[list[Continuation]]:
        """As `batches`, of texts that are checked."""
        _check(options, SAMPLED)
        prompts = self._prompts(texts, warn)
        work = partial(self._continue, options.sampling, options.max_length or self._positions)
        limits = self.speed.limits(self.speed.batch_size * self._positions)
        return in_order(prompts, work, lambda prompt: len(prompt.ids) + 1, limits)

    def perplexity(
        self, lines: Iterable[str], window: int | None = None, warn: Warn | None = None
    ) -> Perplexity:
        """How well the model predicts a text.

        The text, its lines ended by eos, is read in windows that overlap by half; each window
        scores its second half, the first window all of it.  `window`: tokens of a window, from 2 to
        as many as the model has positions for, which is the default.  `lines` is iterated in
        another thread.  `warn` is told, at the end, how many characters the vocabulary lacks.
        Raises `UserError` for a window that the model has no positions for, and for a text without
        lines, and `WrongTypeError` for lines that are no text.
        """
        length = self._positions if window is None else window
        if type(length) is not int or not 2 <= length <= self._positions:
            told = f"a window of {reprlib.repr(length)} tokens"
            raise UserError(f"{told}: the model takes 2 to {self._positions}")
        program = self.model.program
        tokens = TextTokens(expect.texts("lines", lines), self._tokenizer, program.eos)
        pieces = windows(tokens, program.start, length)
        limits = self.speed.limits(self.speed.batch_size * length)
        total = sum(chain.from_iterable(in_order(pieces, self._log2, _size, limits)))
        if not tokens.tokens:
            raise UserError("there is no text to measure")
        if warn is not None:
            tokens.unknown.tell(warn)
        return Perplexity(tokens.words, tokens.tokens, total)

    def score(self, text: str, options: Options = DEFAULT_OPTIONS) -> Scores:
        """log P of each token of a text and of the eos after it, given the tokens before it.

        Of `options`, normalization and alpha count; others are refused.  Raises `OptionError`, and
        `UserError` for a text of more tokens than the model has positions for: `perplexity` reads
        it in windows.
        """
        _check(options, SCORED)
        check_alpha(self.model, options)
        program = self.model.program
        ids = self._tokenizer.encode(expect.text("text", text))
        if len(ids) >= self._positions:
            raise UserError(
                f"a text of {len(ids)} tokens: the model takes {self._positions - 1}; perplexity"
                " reads longer ones in windows"
            )
        path = Path((), program.start, (*ids, program.eos))
        (found,) = score(self._engine, [path], normalization_of(options, program.alpha))
        return scores_of(found)

    def _prompts(self, texts: Iterable[str], warn: Warn | None) -> Iterator[Prompt]:
        """The beginnings of texts, half of the positions long where they leave none."""
        for number, text in enumerate(texts):
            ids = self._tokenizer.encode(text)
            unknown = tuple(self._tokenizer.unknown(text, ids))
            truncated = len(ids) >= self._positions
            if truncated:
                kept = self._positions // 2
                if warn is not None:
                    told = f"text {number + 1}: only the last {kept} of {len(ids)} tokens are read"
                    warn(told)
                ids = ids[-kept:]
            yield Prompt(number, text, ids, truncated, unknown)

    def _continue(
        self, sampling: Sampling | None, max_tokens: int, batch: list[Prompt]
    ) -> list[Continuation]:
        """How the texts of a batch go on."""
        limits = [min(max_tokens, self._positions - len(prompt.ids)) for prompt in batch]
        requests = [
            Request((), limit, prompt.ids, number=prompt.number)
            for limit, prompt in zip(limits, batch, strict=True)
        ]
        if sampling is None:
            found = self._engine.greedy(requests)
        else:
            found = self._engine.sample(requests, sampling)
        return [
            Continuation(
                prompt=prompt.text,
                truncated=prompt.truncated,
                text=self._tokenizer.text([*prompt.ids, *added]),
                tokens=tuple(self._tokenizer.pieces(added)),
                ids=tuple(added),
                complete=len(added) < limit,
                unknown=prompt.unknown,
            )
            for prompt, added, limit in zip(batch, found, limits, strict=True)
        ]

    def _log2(self, batch: list[Window]) -> list[int]:
        """The log2-probability of the fresh tokens of each window."""
        paths = [Path((), window.start, window.tokens) for window in batch]
        found = self._engine.log_probabilities(paths)
        return [sum(tokens[-window.fresh :]) for window, tokens in zip(batch, found, strict=True)]


def _size(window: Window) -> int:
    return len(window.tokens)


def _check(options: Options, used: tuple[str, ...]) -> None:
    """Refuse options that would do nothing."""
    expect.instance("options", options, Options)
    for field in dataclasses.fields(Options):
        value = getattr(options, field.name)
        if field.name not in used and value != field.default:
            raise OptionError(f"{field.name} does nothing here: it is {value!r}")
