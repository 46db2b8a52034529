"""The tokenizer of a model file that the library `tokenizers` reads: a tokenizer.json, as data.

    {"size": 50257, "tokenizer": {"version": "1.0", "model": {...}, "normalizer": {...}, ...}}

`size` is the number of token ids.  It is larger than the number of tokens if some ids have no
token.  `tokenizer` has only what texts and ids depend on.

A file is data from a stranger.  The checks here come before the library reads it, because some
files make the library fail, take exponential time, or number tokens by chance.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise

import msgspec

from int8ref.files import sentencepiece_file, tokenizer_patterns
from int8ref.files import tokenizer_parts as parts

MOST_PARTS = 64
"""Parts of a tokenizer, with the parts of its sequences."""
MOST_GROWTH = 64
"""Product of the factors by which the replacements of a tokenizer can lengthen a text."""
MOST_TOKEN = 1024
"""Bytes of a token."""
MOST_TEXT = 1 << 24
"""Bytes of all tokens of a vocabulary."""
MOST_TRIE = 1 << 22
"""Bytes of all tokens of a Unigram model, because the library makes a node of each byte."""
MOST_ADDED = 1 << 20
"""Bytes of all added tokens."""
MOST_REPLACEMENT = 128
"""Bytes of a text that replaces a character by a character map."""


class UnsafeTokenizerError(sentencepiece_file.UnsafeModelError):
    """The library cannot read this tokenizer safely.  The message says why."""


class Library(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the library reads of a tokenizer.json."""

    model: parts.Model
    added_tokens: list[parts.AddedToken] = []
    normalizer: parts.Normalizer | None = None
    pre_tokenizer: parts.PreTokenizer | None = None
    decoder: parts.Decoder | None = None
    version: str = "1.0"


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tokenizer, and the number of its token ids."""

    size: parts.Id
    tokenizer: Library


def encode(document: Document) -> bytes:
    """The bytes of a tokenizer: equal tokenizers have equal bytes.

    Raises `UnsafeTokenizerError` for a tokenizer that `check` would reject.
    """
    check_document(document)
    return msgspec.json.encode(document, order="sorted")


def decode(model: bytes) -> Document:
    """A tokenizer from its bytes.  Raises `UnsafeTokenizerError`."""
    try:
        return msgspec.json.decode(model, type=Document)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise UnsafeTokenizerError(str(error)) from None


def check(model: bytes) -> None:
    """Check everything that the library does not check.  Raises `UnsafeTokenizerError`."""
    check_document(decode(model))


def check_document(document: Document) -> None:
    """Check a tokenizer.  Raises `UnsafeTokenizerError`."""
    found = document.tokenizer
    if found.version != "1.0":
        raise UnsafeTokenizerError(f"version {found.version!r:.40}, not '1.0'")
    sides = [found.normalizer, found.pre_tokenizer, found.decoder]
    listed = list(chain.from_iterable(_flat(part) for part in sides if part is not None))
    if len(listed) > MOST_PARTS:
        raise UnsafeTokenizerError(f"{len(listed)} parts, more than {MOST_PARTS}")
    _check_parts(listed)
    _check_model(found.model)
    _check_ids(document.size, found)


def tokens(model: parts.Model) -> dict[str, int]:
    """The tokens of a model and their ids."""
    if isinstance(model, parts.Unigram):
        return {token: i for i, (token, _) in enumerate(model.vocab)}
    return model.vocab


def all_tokens(document: Document) -> dict[str, int]:
    """The tokens of a tokenizer and their ids, the added tokens included."""
    library = document.tokenizer
    return tokens(library.model) | {token.content: token.id for token in library.added_tokens}


def unknown(model: parts.Model) -> int | None:
    """The id of unknown text, if the model has one."""
    if isinstance(model, parts.Unigram):
        return model.unk_id
    return None if model.unk_token is None else model.vocab.get(model.unk_token)


def _flat(part: parts.Part) -> Iterator[parts.Part]:
    """The parts of a part: of a sequence its members, and theirs."""
    match part:
        case (
            parts.NormalizerSequence(members)
            | parts.PreTokenizerSequence(members)
            | parts.DecoderSequence(members)
        ):
            yield part
            for member in members:
                yield from _flat(member)
        case _:
            yield part


def _check_parts(listed: Iterable[parts.Part]) -> None:
    """Check the patterns, the character maps, and how much longer a text can become."""
    growth = 1
    for part in listed:
        match part:
            case parts.Split(pattern):
                _check_pattern(pattern)
            case parts.Replace(pattern, content):
                growth *= _check_pattern(pattern, len(content))
            case parts.Precompiled(content):
                _check_map(content)
            case _:
                pass
    if growth > MOST_GROWTH:
        raise UnsafeTokenizerError(f"its replacements make a text {growth} times longer")


def _check_pattern(pattern: parts.Text, replacement: int = 0) -> int:
    """Check a pattern.  Return the factor by which `replacement` characters can lengthen a text."""
    text, regex = pattern.string, pattern.regex
    if isinstance(regex, str) and not isinstance(text, str):
        try:
            tokenizer_patterns.check(regex)
        except tokenizer_patterns.UnsafePatternError as error:
            raise UnsafeTokenizerError(f"the pattern {regex!r:.80} is not read: {error}") from None
        return 1 + replacement  # it may match the empty text between two characters
    if isinstance(text, str) and not isinstance(regex, str):
        return max(1, -(-replacement // len(text)))
    raise UnsafeTokenizerError("a pattern is not exactly one of String and Regex")


def _check_map(text: str) -> None:
    """Check a character map of SentencePiece in base 64."""
    try:
        content = base64.b64decode(text, validate=True)
        sentencepiece_file.check_map(content)
    except (binascii.Error, ValueError) as error:
        raise UnsafeTokenizerError(f"character map: {error}") from None
    size = int.from_bytes(content[:4], "little")
    if max(map(len, content[4 + size :].split(b"\0"))) > MOST_REPLACEMENT:
        raise UnsafeTokenizerError("a character map with a long text")


def _check_model(model: parts.Model) -> None:
    """Check the tokens of a model, and its statements about them."""
    listed = tokens(model)
    most = MOST_TRIE if isinstance(model, parts.Unigram) else MOST_TEXT
    check_texts(listed, most)
    match model:
        case parts.Unigram():
            if len(listed) < len(model.vocab) or "" in listed:
                raise UnsafeTokenizerError("a piece is empty or there twice")
            if not all(-1e30 < score < 1e30 for _, score in model.vocab):
                raise UnsafeTokenizerError("a score is too large")
            if model.unk_id is not None and model.unk_id >= len(listed):
                raise UnsafeTokenizerError(f"unk_id {model.unk_id} of {len(listed)} pieces")
        case (
            parts.BPE(unk_token=unk)
            | parts.WordPiece(unk_token=unk)
            | parts.WordLevel(unk_token=unk)
        ):
            if unk is not None and unk not in listed:
                raise UnsafeTokenizerError(f"the unknown token {unk!r:.40} has no id")
    if isinstance(model, parts.BPE):
        _check_merges(model)
    if not listed:
        raise UnsafeTokenizerError("no tokens")


def _check_merges(model: parts.BPE) -> None:
    """Check that both parts of every merge, and their result, are tokens."""
    vocabulary, prefix = model.vocab, model.continuing_subword_prefix or ""
    for left, right in model.merges:
        joined = left + right.removeprefix(prefix)
        known = left in vocabulary and right in vocabulary and joined in vocabulary
        if not known or not right.startswith(prefix):
            raise UnsafeTokenizerError(f"the merge {left!r:.40} {right!r:.40} is not of its tokens")


def check_texts(texts: Iterable[str], most: int) -> None:
    """Check that texts are not longer than a limit, and are UTF-8."""
    total = 0
    for text in texts:
        size = len(text.encode())
        if size > MOST_TOKEN:
            raise UnsafeTokenizerError(f"a token of {size} bytes (at most {MOST_TOKEN})")
        total += size
    if total > most:
        raise UnsafeTokenizerError(f"tokens of {total} bytes (at most {most})")


def _check_ids(size: int, found: Library) -> None:
    """Check that each id is the id of one token, and that the library gives the added tokens their
    ids.

    The library numbers an added token that is no token of the model by the number of the tokens
    before it.
    """
    listed = tokens(found.model)
    if len(set(listed.values())) < len(listed):
        raise UnsafeTokenizerError("two tokens have one id")
    check_texts((token.content for token in found.added_tokens), MOST_ADDED)
    ids = [token.id for token in found.added_tokens]
    if any(a >= b for a, b in pairwise(ids)):
        raise UnsafeTokenizerError("added tokens are not in the order of their ids")
    new = [token for token in found.added_tokens if token.content not in listed]
    expected = range(len(listed), len(listed) + len(new))
    if len({token.content for token in found.added_tokens}) < len(ids):
        raise UnsafeTokenizerError("an added token is there twice")
    if new and (
        [token.id for token in new] != list(expected) or max(listed.values()) >= len(listed)
    ):
        raise UnsafeTokenizerError("added tokens do not follow the tokens of the model")
    for token in found.added_tokens:
        if listed.get(token.content, token.id) != token.id:
            raise UnsafeTokenizerError(f"the token {token.content!r:.40} has two ids")
    largest = max(max(listed.values()), *ids, 0)
    if largest >= size:
        raise UnsafeTokenizerError(f"the id {largest} of {size} ids")
