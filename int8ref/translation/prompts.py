"""Prompts: the texts and conversations that a language model continues, as token ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.results import Unknown
from int8ref.search.request import Tokens
from int8ref.text.chat import Message, chat_text, messages_of
from int8ref.text.lines import Warn
from int8ref.text.text_tokenizer import TextTokenizer
from int8ref.translation import expect

Beginning = str | Sequence[Message]
"""A text to continue, or messages to reply to."""


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


class Prompts:
    """Makes the prompts of a language model.

    tokenizer  tokenizer of the model
    positions  number of positions of the model
    """

    def __init__(self, model: Model, tokenizer: TextTokenizer, positions: int) -> None:
        self._model, self._tokenizer, self._positions = model, tokenizer, positions

    def each(
        self, texts: Iterable[Beginning], warn: Warn | None = None, first: int = 0
    ) -> Iterator[Prompt]:
        """Yield the prompts of texts and of conversations.  `first`: number of the first text."""
        return (
            self.of_text(text, number, warn)
            if isinstance(text, str)
            else self.of_messages(text, number, warn)
            for number, text in enumerate(texts, first)
        )

    def of_text(self, text: str, number: int, warn: Warn | None) -> Prompt:
        """Return the prompt of a text: see `LanguageModel.prompt`."""
        ids = self._tokenizer.encode(text)
        return self._prompt(text, ids, tuple(self._tokenizer.unknown(text, ids)), number, warn)

    def of_messages(self, messages: Sequence[Message], number: int, warn: Warn | None) -> Prompt:
        """Return the prompt of a conversation: see `LanguageModel.chat_prompt`."""
        text = self.chat_text(messages)
        template = self._model.chat
        start = self._model.program.start
        ids = self._tokenizer.encode_marked(text)
        if template is not None and template.bos and ids[:1] == [start]:
            ids = ids[1:]  # the program begins with this token
        return self._prompt(text, ids, (), number, warn)

    def chat_text(self, messages: Sequence[Message]) -> str:
        """Return the text of a conversation: see `LanguageModel.chat_text`."""
        if self._model.chat is None:
            raise UserError(f"model {self._model.name} has no chat template: it continues texts")
        return chat_text(self._model.chat, messages)

    def _prompt(
        self, text: str, ids: list[int], unknown: Unknown, number: int, warn: Warn | None
    ) -> Prompt:
        """Return a prompt.  A prompt that leaves no position is cut to its last tokens.

        A cut prompt takes half of the positions.
        """
        truncated = len(ids) >= self._positions
        if truncated:
            kept = self._positions // 2
            if warn is not None:
                warn(f"text {number + 1}: only the last {kept} of {len(ids)} tokens are read")
            ids = ids[-kept:]
        return Prompt(number, text, ids, truncated, unknown)


def beginnings(texts: Iterable[Beginning]) -> Iterator[Beginning]:
    """Yield texts, and lists of messages.  Raises `WrongTypeError`."""
    for place, value in expect.items("texts", texts, "a list of str"):
        if isinstance(value, list):
            yield messages_of(value)
        else:
            yield expect.text(place, value)
