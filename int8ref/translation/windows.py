"""Cuts a long text into windows for a language model.  Each token is scored once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from int8ref.text.tokenizers import TextTokenizer
from int8ref.translation.unknown import UnknownCharacters


@dataclass(frozen=True)
class TextWindow:
    """A piece of a text.

    start   the token before the window
    tokens  the tokens of the window
    fresh   number of tokens at the end of the window that are scored
    """

    start: int
    tokens: list[int]
    fresh: int


def windows(tokens: Iterable[int], before: int, length: int) -> Iterator[TextWindow]:
    """Yield windows of at most `length` tokens.  Each token is fresh in one window.

    All tokens of the first window are fresh.  A later window begins with length - length // 2
    tokens of context, and its other tokens are fresh.  `before`: the token before the text.
    """
    context = length - length // 2
    text, fresh, wanted = [before], 0, length
    for token in tokens:
        text.append(token)
        fresh += 1
        if fresh == wanted:
            yield TextWindow(text[0], text[1:], fresh)
            text, fresh, wanted = text[-context - 1 :], 0, length - context
    if fresh:
        yield TextWindow(text[0], text[1:], fresh)


class TextTokens:
    """Iterates over the tokens of lines of text.  Counts the words and the tokens.

    eos follows each line.
    """

    def __init__(self, lines: Iterable[str], tokenizer: TextTokenizer, eos: int) -> None:
        self._lines, self._tokenizer, self._eos = lines, tokenizer, eos
        self.words = self.tokens = 0
        self.unknown = UnknownCharacters()

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(map(self._line, self._lines))

    def _line(self, line: str) -> list[int]:
        text = line.strip()
        ids = self._tokenizer.encode(text)
        self.unknown.add(tuple(self._tokenizer.unknown(text, ids)))
        ids = [*ids, self._eos]
        self.words += len(line.split()) + 1
        self.tokens += len(ids)
        return ids
