"""SentencePiece models whose pieces fairseq and Pegasus number in their own order.

fairseq   <s> 0, <pad> 1, </s> 2, <unk> 3, then the pieces from number 3 of the model on
Pegasus   <pad> 0, </s> 1, tokens of the training, then the pieces from number 2 of the model on

Behind them are tokens of languages.  A model may have more embeddings: no text has their tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from weights_import.errors import CheckpointError
from weights_import.sources.vocabulary import pieces_of, renumbered

BEGIN, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
FAIRSEQ = {BEGIN: 0, PAD: 1, END: 2, UNKNOWN: 3}
OWN = 3
"""The pieces of a SentencePiece model before those of texts: <unk>, <s>, </s>."""
PEGASUS, PEGASUS_OWN = {PAD: 0, END: 1}, 2


def fairseq_ids(content: bytes) -> dict[str, int]:
    """The ids of the pieces of a SentencePiece model by fairseq's order."""
    pieces = [*pieces_of(content)][OWN:]
    return FAIRSEQ | {p: len(FAIRSEQ) + i for i, p in enumerate(pieces) if p not in FAIRSEQ}


def pegasus_ids(content: bytes, offset: int) -> dict[str, int]:
    """The ids of the pieces of a SentencePiece model by the order of Pegasus."""
    numbered = list(enumerate(pieces_of(content)))[PEGASUS_OWN:]
    return PEGASUS | {piece: i + offset for i, piece in numbered if piece not in PEGASUS}


def with_tokens(
    content: bytes, ids: Mapping[str, int], added: Mapping[str, int], size: int
) -> bytes:
    """The SentencePiece model `content` with these ids, and pieces of no text for `added` tokens
    and for the other ids below `size`.

    Raises CheckpointError for an id twice or outside `size`, and for a damaged model.
    """
    named: dict[int, str] = {}
    for token, number in (*ids.items(), *added.items()):
        if not 0 <= number < size:
            raise CheckpointError(f"token {token!r:.80} is {number}, of {size} embeddings")
        if named.setdefault(number, token) != token:
            raise CheckpointError(f"two tokens are {number}: {named[number]!r:.80}, {token!r:.80}")
    unused = {f"<unused{i}>": i for i in range(size) if i not in named}
    vocabulary = {token: i for i, token in named.items()} | unused
    controls = (*added, *unused, PAD, BEGIN)
    return renumbered(content, vocabulary, END, UNKNOWN, controls)
