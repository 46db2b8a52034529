"""The language model: continues texts, and computes the probabilities of texts."""

from __future__ import annotations

import dataclasses
import itertools
import reprlib
from collections.abc import Iterable, Iterator
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
from int8ref.search.forced import score
from int8ref.search.request import Path, Request, Tokens
from int8ref.spec.arithmetic import LOG_BITS
from int8ref.text.batching import in_order
from int8ref.text.lines import Warn
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation import expect
from int8ref.translation.ready import DEFAULT_SPEED, ReadyModel, Speed, check_alpha
from int8ref.translation.scores import scores_of
from int8ref.translation.windows import TextTokens, TextWindow, windows
from int8ref.translation.witness import drafted, searched

CALL_BATCHES = 4
"""Batches of texts that one call of the engine continues.  The texts of the first batch begin at
once, and each of the others begins as soon as a text before it ends."""
SAMPLED = ("temperature", "top_k", "top_p", "seed", "max_length", "logits_digest")
SCORED = ("normalization", "alpha")


@dataclass(frozen=True)
class Continuation:
    """A text and its continuation by a language model.

    prompt     the given text
    truncated  True if the prompt was too long, and the model read only its last tokens
    text       the tokens that the model read and the added tokens, as one text
    tokens     the text of each added token
    ids        the id of each added token
    complete   True if the model ended the text before the limit
    unknown    text of the prompt that the vocabulary lacks.  The places are places in the tokens
               of the whole prompt, from 0.
    logits     SHA-256 of the logits of the added tokens (`search.reading`), in hexadecimal.  None
               without the option logits_digest.
    """

    prompt: str
    truncated: bool
    text: str
    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    complete: bool
    unknown: Unknown = ()
    logits: str | None = None


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts a text of n words, or n tokens: 2^(-L / n).

    words   number of white-space tokens.  The end of a line counts as one word.
    tokens  number of tokens of the model.  The end of a line counts as one token.
    log2    L, the sum of the log2-probabilities of all tokens: an integer in units of 2^-20
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
    """The beginning of a text.

    number     place of the text in the list, from 0
    ids        token ids that the model reads
    truncated  True if the text was too long and was cut
    unknown    text that the vocabulary lacks
    draft      expected continuation (`translation.witness`), or None
    """

    number: int
    text: str
    ids: list[int]
    truncated: bool
    unknown: Unknown
    draft: Tokens | None = None


class LanguageModel(ReadyModel):
    """Continues texts and scores texts.

    A LanguageModel is immutable.  Several threads may use it at once.  The model, the text and the
    options determine all bits of a result.  With a temperature, the place of the text in its list
    also takes part.  Arguments and pickles: see `int8ref.Translator`.

    Raises these errors, all of which are `UserError`:

    UserError       the model takes a source
    TokenizerError  the tokenizer does not fit the program of the model
    OptionError     the backend is unknown
    WrongTypeError  model or speed has the wrong type
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
        if program.encodes:
            raise UserError(f"model {model.name} is an encoder alone: it writes no texts")
        if takes_source(program):
            raise UserError(f"model {model.name} translates: a language model takes no source")
        self._engine = load_engine(
            program, tensors, backend, model.types, model.digest, model.name, speed.threads
        )
        self._tokenizer = build_tokenizer(model.target, vocabulary_size(program, tensors))
        self._positions = max_steps(program, tensors)

    @property
    def threads_of_a_batch(self) -> int:
        """See `ReadyModel.threads_of_a_batch`."""
        return self._engine.threads_of_a_call

    @overload
    def generate(self, text: str, options: Options = ...) -> Continuation: ...

    @overload
    def generate(
        self, text: list[str] | tuple[str, ...], options: Options = ...
    ) -> list[Continuation]: ...

    def generate(
        self, text: str | list[str] | tuple[str, ...], options: Options = DEFAULT_OPTIONS
    ) -> Continuation | list[Continuation]:
        """Continue one text, or a list of texts.

        Returns one `Continuation` for one text, and a list of `Continuation` in the same order for
        a list.  The options temperature, top_k, top_p and seed control the drawing of tokens.
        Without a temperature, each token is the most likely token.  The option max_length is the
        largest number of added tokens.  Its default is the number of positions of the model that
        the prompt leaves free.  A prompt that leaves no free position is cut: the model reads only
        its last tokens.

        Raises these errors, all of which are `UserError`:

        OptionError     another option is set
        WrongTypeError  a text is no str, or the options are no `Options`
        TextError       a text contains half a surrogate pair
        """
        if not isinstance(text, str):
            texts = expect.texts("text", text, "a str or a list of str")
            return list(itertools.chain.from_iterable(self._batches(texts, options)))
        ((found,),) = self._batches(iter([expect.text("text", text)]), options)
        return found

    def stream(
        self, texts: Iterable[str], options: Options = DEFAULT_OPTIONS
    ) -> Iterator[Continuation]:
        """Continue each text, in constant memory.

        Yields one `Continuation` for each text, in the order of the texts.  The iteration works as
        the iteration of `Translator.stream`.  Raises the errors of `generate`, at the times that
        `Translator.stream` describes.
        """
        return itertools.chain.from_iterable(self.batches(texts, options))

    def batches(
        self,
        texts: Iterable[str],
        options: Options = DEFAULT_OPTIONS,
        warn: Warn | None = None,
        drafts: Iterable[Tokens | None] | None = None,
    ) -> Iterator[list[Continuation]]:
        """Continue each text, and yield lists of results as soon as they are ready.

        The results are in the order of the texts.  `warn` gets a message for each text that is cut,
        and `drafts` has for each text the ids that its continuation is expected to have, or None:
        see `Translator.batches`.  Raises the errors of `stream`.
        """
        return self._batches(expect.texts("texts", texts), options, warn, drafts)

    def _batches(
        self,
        texts: Iterator[str],
        options: Options,
        warn: Warn | None = None,
        drafts: Iterable[Tokens | None] | None = None,
    ) -> Iterator[list[Continuation]]:
        """Implement `batches` for texts whose types are checked."""
        _check(options, SAMPLED)
        prompts = self._prompts(texts, warn)
        if drafts is not None:
            prompts = (
                dataclasses.replace(prompt, draft=draft)
                for prompt, draft in zip(prompts, drafts, strict=True)
            )
        work = partial(self._continue, options)
        limits = self.speed.limits(self.speed.batch_size * self._positions, CALL_BATCHES)
        return in_order(prompts, work, lambda prompt: len(prompt.ids) + 1, limits)

    def perplexity(
        self, lines: Iterable[str], window: int | None = None, warn: Warn | None = None
    ) -> Perplexity:
        """Measure how well the model predicts a text.

        lines   the lines of the text.  An end-of-sentence token ends each line.  Another thread
                iterates over the lines.
        window  number of tokens of a window: from 2 to the number of positions of the model.  The
                windows overlap by half.  The first window scores all of its tokens, and each later
                window scores its second half.  Default: None, which means all positions.
        warn    gets one message at the end if the vocabulary lacks characters of the text.
                Default: no message.

        Raises these errors, all of which are `UserError`:

        UserError       the window is out of range, or the text has no lines
        WrongTypeError  a line is no str
        TextError       a line contains half a surrogate pair
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
        """Return log P(token | tokens before it) of each token of a text.

        The last number belongs to the end of the text.  The options normalization and alpha control
        `Scores.score`.

        Raises these errors, all of which are `UserError`:

        OptionError     another option is set, or normalization is "length" or "gnmt" and the
                        exponent of the model is 0
        WrongTypeError  the text is no str, or the options are no `Options`
        TextError       the text contains half a surrogate pair
        UserError       the text has more tokens than the model has positions.  `perplexity` reads
                        such a text in windows.
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
        """Yield the prompts.  Cut a prompt that leaves no position to its last tokens.

        A cut prompt takes half of the positions.
        """
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

    def _continue(self, options: Options, batch: list[Prompt]) -> list[Continuation]:
        """Continue the texts of a batch."""
        max_tokens = options.max_length or self._positions
        limits = [min(max_tokens, self._positions - len(prompt.ids)) for prompt in batch]
        requests = [
            Request((), limit, prompt.ids, number=prompt.number)
            for limit, prompt in zip(limits, batch, strict=True)
        ]
        sampling = options.sampling
        drafts = [prompt.draft for prompt in batch]
        if sampling or not options.logits_digest or all(draft is None for draft in drafts):
            rows = self.speed.batch_size
            found = searched(self._engine, requests, sampling, options.logits_digest, rows)
        else:
            vocabulary = vocabulary_size(self._engine.program, self.model.tensors)
            found = drafted(self._engine, requests, drafts, vocabulary)
        return [
            Continuation(
                prompt=prompt.text,
                truncated=prompt.truncated,
                text=self._tokenizer.text([*prompt.ids, *added]),
                tokens=tuple(self._tokenizer.pieces(added)),
                ids=tuple(added),
                complete=len(added) < limit,
                unknown=prompt.unknown,
                logits=logits,
            )
            for prompt, (added, logits), limit in zip(batch, found, limits, strict=True)
        ]

    def _log2(self, batch: list[TextWindow]) -> list[int]:
        """Return the sum of the log2-probabilities of the fresh tokens of each window."""
        paths = [Path((), window.start, window.tokens) for window in batch]
        found = self._engine.log_probabilities(paths)
        return [sum(tokens[-window.fresh :]) for window, tokens in zip(batch, found, strict=True)]


def _size(window: TextWindow) -> int:
    return len(window.tokens)


def _check(options: Options, used: tuple[str, ...]) -> None:
    """Raise `OptionError` if an option outside `used` is set, because it would have no effect."""
    expect.instance("options", options, Options)
    for field in dataclasses.fields(Options):
        value = getattr(options, field.name)
        if field.name not in used and value != field.default:
            raise OptionError(f"{field.name} does nothing here: it is {value!r}")
