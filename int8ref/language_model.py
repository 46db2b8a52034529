"""The language model: continues texts, and computes the probabilities of texts."""

from __future__ import annotations

import dataclasses
import itertools
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path as FilePath
from typing import overload

from int8ref.engines.backends import Backend, begin_batch, load_engine
from int8ref.engines.text_batch import TextBatch
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.options import DEFAULT_OPTIONS, Options, normalization_of
from int8ref.program.program import takes_source
from int8ref.program.sizes import max_steps, vocabulary_size
from int8ref.results import Continuation, Scores
from int8ref.search.forced import score
from int8ref.search.request import Path, Request, Tokens
from int8ref.text.batching import in_order
from int8ref.text.chat import Message
from int8ref.text.decimals import natural_log
from int8ref.text.lines import Warn
from int8ref.text.tokenizers import build_tokenizer
from int8ref.translation import expect
from int8ref.translation.adjusting import adjustments_of
from int8ref.translation.continuing import Found, added_text, completed, continued, stop_place
from int8ref.translation.perplexity import Perplexity
from int8ref.translation.prompts import Beginning, Prompt, Prompts, beginnings
from int8ref.translation.ready import DEFAULT_SPEED, ReadyModel, Speed, check_alpha
from int8ref.translation.scores import scores_of
from int8ref.translation.used import SAMPLED, SCORED, WRITTEN, check_used
from int8ref.translation.windows import TextTokens, TextWindow, windows
from int8ref.translation.witness import drafted
from int8ref.translation.writing import settled, written

CALL_BATCHES = 4
"""Batches of texts that one call of the engine continues.  The texts of the first batch begin at
once, and each of the others begins as soon as a text before it ends."""


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
        self._prompts = Prompts(model, self._tokenizer, self._positions)

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
        a list.  A temperature draws tokens, and a beam_size searches with a beam.  Otherwise each
        token is the most likely token.  Options that adjust logits, and n_best, scores, stop and
        top_logprobs, work too.  The option max_length is the
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

    def chat(self, messages: Sequence[Message], options: Options = DEFAULT_OPTIONS) -> Continuation:
        """Reply to a conversation.

        messages  mappings with role ("user", "assistant", "system") and content, a text

        The chat template of the model file makes one text of the messages.  The model continues
        this text: `Continuation.added` is the reply.  Special tokens that stand in a content are
        read as special tokens.

        Raises the errors of `generate`, and these, which are `UserError`:

        ChatError  the messages are no conversation, or the template fails or takes too long
        UserError  the model has no chat template, or the package jinja2 is missing
        """
        ((found,),) = self._batches(iter([messages]), options)
        return found

    def write(self, text: Beginning, options: Options = DEFAULT_OPTIONS) -> Iterator[str]:
        """Continue a text, or reply to messages, and yield the added text in parts, as it comes.

        A part comes when no further token can change it: half a character waits for its other half,
        and the beginning of a stop text waits.  All parts together are `Continuation.added` of
        `generate` or `chat`.  The reference backend yields one part, at the end.

        Raises the errors of `generate` and `chat`, and `OptionError` for a beam_size or an n_best
        above 1, scores and top_logprobs.
        """
        check_used(options, WRITTEN)
        (given,) = beginnings([list(text) if not isinstance(text, str) else text])
        (prompt,) = self._prompts.each([given])
        request = self.request(prompt, options)
        adjusted = request.adjustments is not None
        batch = begin_batch(self._engine, options.sampling, 1, adjusted)
        return written(batch, self._tokenizer, request, options.seed, options.stop)

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
        texts: Iterable[Beginning],
        options: Options = DEFAULT_OPTIONS,
        warn: Warn | None = None,
        drafts: Iterable[Tokens | None] | None = None,
        first: int = 0,
    ) -> Iterator[list[Continuation]]:
        """Continue each text, and yield lists of results as soon as they are ready.

        A text may also be a list of messages, as for `chat`.  The results are in the order of the
        texts.  `warn` gets a message for each text that is cut.  `drafts` has for each text the ids
        that its continuation is expected to have, or None.  `first` is the number of the first
        text: see `Translator.batches`.  Raises the errors of `stream`.
        """
        return self._batches(beginnings(texts), options, warn, drafts, first)

    def _batches(
        self,
        texts: Iterator[Beginning],
        options: Options,
        warn: Warn | None = None,
        drafts: Iterable[Tokens | None] | None = None,
        first: int = 0,
    ) -> Iterator[list[Continuation]]:
        """Implement `batches` for texts whose types are checked."""
        check_used(options, SAMPLED)
        check_alpha(self.model, options)
        prompts = self._prompts.each(texts, warn, first)
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
        check_used(options, SCORED)
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

    def prompt(self, text: str, number: int = 0, warn: Warn | None = None) -> Prompt:
        """Return the beginning of a text.  For programs that run the engine themselves.

        `number`: place of the text in its list.  `warn`: see `batches`.  Raises `TextError` if the
        text contains half a surrogate pair.
        """
        return self._prompts.of_text(text, number, warn)

    def chat_prompt(
        self, messages: Sequence[Message], number: int = 0, warn: Warn | None = None
    ) -> Prompt:
        """Return the beginning of the reply to a conversation: see `chat` and `prompt`."""
        return self._prompts.of_messages(messages, number, warn)

    def chat_text(self, messages: Sequence[Message]) -> str:
        """Return a conversation as the text that the model reads, by its chat template.

        Raises the errors of `chat`.
        """
        return self._prompts.chat_text(messages)

    def request(self, prompt: Prompt, options: Options) -> Request:
        """Return the request to the engine that continues a text."""
        most = options.max_length or self._positions
        limit = min(most, self._positions - len(prompt.ids))
        adjusted = adjustments_of(options, self._tokenizer)
        return Request((), limit, prompt.ids, number=prompt.number, adjustments=adjusted)

    def continuation(
        self, prompt: Prompt, added: Tokens, complete: bool, logits: str | None = None
    ) -> Continuation:
        """Return the result of a search.

        added     ids of the tokens that the search found
        complete  whether the model ended the text
        logits    digest of the logits, or None
        """
        return self._result(prompt, Found(added, complete, logits=logits))

    def settled(
        self, prompt: Prompt, added: Tokens, ended: bool, stops: Sequence[str]
    ) -> tuple[str, bool]:
        """Return the added text that no further token changes, and whether a stop text ends it.

        For programs that run the engine themselves.  `ended`: no further token follows.
        """
        return settled(self._tokenizer, prompt.ids, added, ended, stops)

    def finished(
        self, prompt: Prompt, request: Request, added: Tokens, options: Options
    ) -> Continuation:
        """Return what `generate` returns for a text, whose tokens the caller has found."""
        found = [Found(tuple(added), ended=len(added) < request.limit)]
        (one,) = completed(self._engine, self._tokenizer, [request], found, options)
        return self._result(prompt, one)

    def log_probabilities(self, prompt: Prompt, added: Tokens) -> list[Decimal]:
        """Return the natural log-probability of each added token, without adjustments."""
        path = Path((), self.model.program.start, tuple(added), tuple(prompt.ids))
        return [natural_log(log2) for log2 in self._engine.log_probabilities([path])[0]]

    @property
    def special_texts(self) -> frozenset[str]:
        """The texts that `chat` reads as special tokens."""
        return self._tokenizer.special_texts

    def _result(self, prompt: Prompt, found: Found, others: Sequence[Found] = ()) -> Continuation:
        """Return a result, and the other results of its prompt."""
        whole = self._tokenizer.text([*prompt.ids, *found.ids])
        added = added_text(self._tokenizer, prompt.ids, found.ids)
        if found.stopped is not None and (end := stop_place(added, [found.stopped])):
            whole, added = whole[: len(whole) - len(added) + end[0]], added[: end[0]]
        return Continuation(
            prompt=prompt.text,
            truncated=prompt.truncated,
            text=whole,
            tokens=tuple(self._tokenizer.pieces(found.ids)),
            ids=tuple(found.ids),
            complete=found.ended or found.stopped is not None,
            unknown=prompt.unknown,
            logits=found.logits,
            added=added,
            stopped=found.stopped,
            scores=found.scores,
            likeliest=found.likeliest,
            others=tuple(self._result(prompt, other) for other in others),
        )

    def _continue(self, options: Options, batch: list[Prompt]) -> list[Continuation]:
        """Continue the texts of a batch."""
        requests = [self.request(prompt, options) for prompt in batch]
        if options.logits_digest and options == Options(
            max_length=options.max_length, logits_digest=True
        ):
            found = self._witnessed(batch, requests)
        else:
            rows = self.speed.batch_size
            found = continued(self._engine, self._tokenizer, requests, options, rows)
        return [
            self._result(prompt, best, others)
            for prompt, (best, *others) in zip(batch, found, strict=True)
        ]

    def _witnessed(self, batch: list[Prompt], requests: list[Request]) -> list[list[Found]]:
        """Return the results of greedy search, with digests; drafts make it faster."""
        drafts = [prompt.draft for prompt in batch]
        vocabulary = vocabulary_size(self._engine.program, self.model.tensors)
        found = drafted(self._engine, requests, drafts, vocabulary)
        return [
            [Found(ids, len(ids) < request.limit, logits=logits)]
            for (ids, logits), request in zip(found, requests, strict=True)
        ]

    def begin(self, options: Options, rows: int, adjusted: bool = False) -> TextBatch:
        """Begin a batch that texts enter and leave, for programs such as a service.

        The options are the options of `generate`, without seed and max_length, because each text
        has its own seed and its own largest length.
        `rows`: largest number of texts that are computed at once.  `adjusted`: requests may have
        adjustments of their logits, also without such an option.  Raises `OptionError`.
        """
        check_used(options, SAMPLED)
        return begin_batch(self._engine, options.sampling, rows, adjusted or options.adjusts)

    def _log2(self, batch: list[TextWindow]) -> list[int]:
        """Return the sum of the log2-probabilities of the fresh tokens of each window."""
        paths = [Path((), window.start, window.tokens) for window in batch]
        found = self._engine.log_probabilities(paths)
        return [sum(tokens[-window.fresh :]) for window, tokens in zip(batch, found, strict=True)]


def _size(window: TextWindow) -> int:
    return len(window.tokens)
