"""Codes of subword-nmt and of fastBPE with a plain vocabulary, as the tokenizer of a model file.

codes of subword-nmt  a line "#version: 0.2", then a pair of symbols a line; before that version the
                      end of a word was a symbol of its own
codes of fastBPE      a pair of symbols and its count a line

The symbol that ends a word has </w> at its end.  Texts are taken as tokenised, because the codes do
not tell how words were separated: whoever trained with Moses's tokenizer must run it before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from int8ref.files import subword_file
from int8ref.files.subword_file import Subword
from int8ref.files.tokenizer_file import UnsafeTokenizerError
from weights_import.errors import CheckpointError

VERSION, VERSIONS = "#version:", ("0.1", "0.2")
CONTINUING, END = "@@", "</w>"
MOST_IDS = 1 << 24


def subword_tokenizer(
    codes: bytes | None,
    vocabulary: Mapping[str, int],
    *,
    unk: str = "<unk>",
    special: Collection[str] = (),
    continuing: str = CONTINUING,
    end: str = "",
    lowercase: bool = False,
    size: int = 0,
) -> bytes:
    """The tokenizer of these codes, for `FloatModel.tokenizers`.

    codes       a file of codes; None for a vocabulary of whole words
    vocabulary  ids by piece; ids without a piece stand for no text
    unk         the piece of text that has no id
    special     the pieces that stand for no text
    continuing  what a piece ends with that does not end its word
    end         instead of `continuing`, what a piece ends with that ends its word, such as </w>
    lowercase   whether texts are lowercased
    size        the number of ids; 0: as many as the vocabulary needs

    Raises CheckpointError for damaged codes, or a vocabulary without `unk`, or of more ids.
    """
    if unk not in vocabulary:
        raise CheckpointError(f"vocabulary: no {unk}")
    merges, apart = (None, False) if codes is None else merges_of(codes)
    tokens = _tokens(vocabulary, size)
    hidden = {vocabulary[piece] for piece in special if piece in vocabulary}
    hidden |= {i for i, token in enumerate(tokens) if token not in vocabulary}
    try:
        return subword_file.encode(
            Subword(
                tokens=tokens,
                unknown=vocabulary[unk],
                merges=merges,
                special=sorted(hidden),
                continuing="" if end or merges is None else continuing,
                end=end if merges is not None else "",
                apart=apart,
                lowercase=lowercase,
            )
        )
    except UnsafeTokenizerError as error:
        raise CheckpointError(f"vocabulary: {error}") from None


def merges_of(codes: bytes) -> tuple[list[tuple[str, str]], bool]:
    """The pairs of a file of codes, and whether the end of a word is a symbol of its own.

    Raises CheckpointError for what is no file of codes.
    """
    try:
        lines = codes.decode().split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"codes: {error}") from None
    told = lines[0].strip()
    if versioned := told.startswith(VERSION):
        lines = lines[1:]
    version = told.removeprefix(VERSION).strip() if versioned else "0.2"
    if version not in VERSIONS:
        raise CheckpointError(f"codes: version {version:.20} (supported: {', '.join(VERSIONS)})")
    split = [line.strip("\r ").split(" ") for line in lines if line.strip("\r ")]
    for number, parts in enumerate(split, 1 + versioned):
        counted = len(parts) == 3 and parts[2].isdecimal()
        if not (len(parts) == 2 or counted) or not all(parts):
            raise CheckpointError(f"codes: line {number} is no pair of symbols")
    merges = [(parts[0], parts[1]) for parts in split]
    apart = version == "0.1" or (not versioned and any(END in pair for pair in merges))
    return merges, apart


def _tokens(vocabulary: Mapping[str, int], size: int) -> list[str]:
    """The piece of each id."""
    named = {i: piece for piece, i in vocabulary.items()}
    needed = 1 + max(named)
    if len(named) < len(vocabulary) or min(named) < 0:
        raise CheckpointError("vocabulary: two pieces have one id, or an id is negative")
    if needed > (size or min(2 * len(vocabulary) + 1024, MOST_IDS)):
        raise CheckpointError(f"vocabulary: {needed} ids for {size or len(vocabulary)} embeddings")
    return [named.get(i, f"<unused{i}>") for i in range(size or needed)]
