"""Byte pair encoding of words, as subword-nmt and fastBPE do it.

Source: Sennrich et al. 2016, https://github.com/rsennrich/subword-nmt (the formats and the results;
the code here is another).  A text is taken as tokenised: its words are what stands between spaces.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from int8ref.files import subword_file
from int8ref.files.tokenizer_file import UnsafeTokenizerError
from int8ref.text.text_tokenizer import TokenizerError, check_text, in_one_line

END = "</w>"
"""The end of a word in merges."""
CACHED_WORDS, CACHED_LENGTH = 1 << 15, 64
"""The number of words that are remembered, and the characters of the longest."""

Ranks = dict[tuple[str, str], int]


class SubwordPairs:
    """Merges of pairs of symbols.  `model`: the bytes of `subword_file.encode`."""

    def __init__(self, model: bytes) -> None:
        try:
            self._told = subword_file.decode(model)
        except UnsafeTokenizerError as error:
            raise TokenizerError(f"not a tokenizer: {error}") from None
        self._tokens = self._told.tokens
        self.size: int = len(self._tokens)
        self._ids = {token: i for i, token in enumerate(self._tokens)}
        self._special = frozenset(self._told.special)
        self._ranks: Ranks = {}
        for rank, pair in enumerate(self._told.merges or ()):
            self._ranks.setdefault(pair, rank)
        self._remembered = lru_cache(CACHED_WORDS)(self._cut)

    def encode(self, line: str) -> list[int]:
        """Implement `TextTokenizer.encode`."""
        unknown = self._told.unknown
        return [self._ids.get(self._marked(*piece), unknown) for piece in self._pieces(line)]

    def encode_marked(self, text: str) -> list[int]:
        """Implement `TextTokenizer.encode_marked`."""
        return self.encode(text)

    @property
    def special_texts(self) -> frozenset[str]:
        """Implement `TextTokenizer.special_texts`: none is written out."""
        return frozenset()

    def unknown(self, line: str, ids: Sequence[int]) -> list[tuple[int, str]]:
        """Implement `TextTokenizer.unknown`."""
        if self._told.unknown not in ids:
            return []
        found = enumerate(zip(ids, self._pieces(line), strict=False))
        return [(i, piece[0]) for i, (token, piece) in found if token == self._told.unknown]

    def spans(self, line: str, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Implement `TextTokenizer.spans`.  A piece is a part of the line, unless its case differs.

        A character whose small letter has several characters moves the places after it.
        """
        lower = line.lower() if self._told.lowercase else line
        found, end = [], 0
        for piece, _ in self._pieces(line)[: len(ids)]:
            begin = lower.find(piece, end)
            end = begin + len(piece)
            found.append((min(begin, len(line)), min(end, len(line))))
        return found

    def text(self, ids: Sequence[int]) -> str:
        """Implement `TextTokenizer.text`."""
        pieces = [self._tokens[i] for i in ids if i not in self._special]
        if self._told.end:
            return "".join(pieces).replace(self._told.end, " ").rstrip(" ")
        text = " ".join(pieces)
        if not self._told.continuing:
            return text
        return f"{text} ".replace(f"{self._told.continuing} ", "").rstrip(" ")

    def decode(self, ids: Sequence[int]) -> str:
        """Implement `TextTokenizer.decode`."""
        return in_one_line(self.text(ids))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Implement `TextTokenizer.pieces`."""
        return [self._tokens[i] for i in ids]

    def _pieces(self, line: str) -> list[tuple[str, bool]]:
        """Return the pieces of a line, and whether each ends its word."""
        check_text(line)
        line = line.lower() if self._told.lowercase else line
        found = []
        for word in line.strip("\r\n ").split(" "):
            if word:
                cut = self._remembered if len(word) <= CACHED_LENGTH else self._cut
                pieces = cut(word)
                found += [(piece, False) for piece in pieces[:-1]] + [(pieces[-1], True)]
        return found

    def _cut(self, word: str) -> tuple[str, ...]:
        """Return the pieces of a word."""
        if self._told.merges is None:
            return (word,)
        symbols = [*word, END] if self._told.apart else [*word[:-1], word[-1] + END]
        pieces = merged(symbols, self._ranks)
        pieces[-1] = pieces[-1].removesuffix(END)
        return tuple(piece for piece in pieces if piece)

    def _marked(self, piece: str, last: bool) -> str:
        """Return a piece as the vocabulary writes it."""
        return piece + (self._told.end if last else self._told.continuing)


def merged(symbols: Sequence[str], ranks: Ranks) -> list[str]:
    """Merge pairs of neighbours, the pair of the lowest rank first, all its places from the left.

    A heap has the places of all pairs, so that n symbols take O(n log n) steps.
    """
    parts: list[str] = list(symbols)
    count = len(parts)
    after, before = list(range(1, count + 1)), list(range(-1, count - 1))
    waiting = [(ranks[pair], i, pair) for i, pair in enumerate(pairwise(parts)) if pair in ranks]
    heapq.heapify(waiting)

    def wait(i: int) -> None:
        if i >= 0 and after[i] < count and (pair := (parts[i], parts[after[i]])) in ranks:
            made.append((ranks[pair], i, pair))

    while waiting:
        made: list[tuple[int, int, tuple[str, str]]] = []
        rank = waiting[0][0]
        while waiting and waiting[0][0] == rank:
            _, i, pair = heapq.heappop(waiting)
            j = after[i]
            if j >= count or (parts[i], parts[j]) != pair:
                continue
            parts[i], parts[j] = pair[0] + pair[1], ""
            after[i] = after[j]
            if after[j] < count:
                before[after[j]] = i
            wait(before[i])
            wait(i)
        for entry in made:
            heapq.heappush(waiting, entry)
    return [part for part in parts if part]
