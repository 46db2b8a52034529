"""A SentencePiece model with the ids of a vocabulary beside it.

OPUS-MT models are trained on SentencePiece's pieces, but number them by a list of their own, which
source and target share.  The tokenizer of a model file is a SentencePiece model alone, whose pieces
are numbered by their places, so it is written anew, in the order of the list:

    a piece of both               keeps its score and type
    a piece of the list alone     (one of the other language) is known, but never chosen
    a piece of the model alone    is left out: texts are cut into other pieces instead of `unk`
    a language mark, >>fra<<      is one piece at the beginning of a text

Added tokens are pieces that the user defines.  A model may have more embeddings than its tokenizer
pieces: the rest is `padded`.

A list of single characters needs no model: it is written as one of SentencePiece's kind `char`; a
list of pieces with scores, as one of the kind `bpe`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from int8ref.files.protobuf import BYTES, FOUR_BYTES, VARINT, field, fields, varint
from weights_import.errors import CheckpointError
from weights_import.processor import processor

# sentencepiece_model.proto: message ModelProto, SentencePiece and the types of the latter; the kind
# in TrainerSpec and the names there; what NormalizerSpec does to white space.
PIECES, TRAINER, NORMALIZER = 1, 2, 3
PIECE, SCORE, TYPE = 1, 2, 3
KIND, BYTE_PAIRS, CHARACTERS = 3, b"\x02", b"\x04"
BYTE_FALLBACK, UNK_PIECE, BOS_PIECE, EOS_PIECE = 35, 45, 46, 47
DUMMY_PREFIX, EXTRA_SPACES, MARKED_SPACES = 3, 4, 5
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

NO_PIECE = -1
"""What SentencePiece tells of a special piece that a model lacks."""

MOST_MORE = 1 << 16
"""The ids that added tokens may leave out, besides as many as there are pieces."""
FLOAT = struct.Struct("<f")
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
NAMED = re.compile(r"<.+>")
NAMED_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
CONTROLS = ("<s>", "</s>")
LANGUAGE_MARK = re.compile(r">>[A-Za-z_-]{1,32}<<")


@dataclass(frozen=True)
class Piece:
    """What a SentencePiece model says of a piece."""

    score: float = 0.0
    type: int = NORMAL


def renumbered(
    content: bytes,
    vocabulary: Mapping[str, int],
    eos: str = "</s>",
    unk: str = "<unk>",
    controls: Collection[str] = (),
) -> bytes:
    """The SentencePiece model `content`, with the ids of `vocabulary`, which has one for each
    number from 0 on; `controls` are pieces that stand for no text.

    Raises CheckpointError for ids with gaps, without `eos` or `unk`, or for a damaged model.
    """
    order = _ordered(vocabulary, (eos, unk))
    pieces, rest = _parsed(content)
    known = dict(pieces) | dict.fromkeys(controls, Piece(type=CONTROL))
    known |= {eos: Piece(type=CONTROL), unk: Piece(type=UNKNOWN)}
    written = b"".join([*(_listed(name, known) for name in order), *rest])
    _check(written, vocabulary[eos], vocabulary[unk], len(order))
    return written


def of_characters(
    vocabulary: Mapping[str, int],
    eos: str = "</s>",
    unk: str = "<unk>",
    controls: Collection[str] = (),
) -> bytes | None:
    """A SentencePiece model whose pieces are single characters, with the ids of `vocabulary`; None
    where one of them is longer, and neither a name in angle brackets nor one of the `controls`.

    A text is what its characters are: nothing is normalised, no space is added or removed.
    Raises CheckpointError as `renumbered`.
    """
    texts = vocabulary.keys() - set(controls)
    if any(len(piece) != 1 and not NAMED.fullmatch(piece) for piece in texts):
        return None
    order = _ordered(vocabulary, (eos, unk))
    known = {name: Piece(type=CONTROL if len(name) > 1 else NORMAL) for name in order}
    known |= {eos: Piece(type=CONTROL), unk: Piece(type=UNKNOWN)}
    pieces = [_written(name.replace(" ", SPACE), known[name]) for name in order]
    written = _model(pieces, CHARACTERS, dict.fromkeys((DUMMY_PREFIX, EXTRA_SPACES), False),
                     {UNK_PIECE: unk, EOS_PIECE: eos})  # fmt: skip
    _check(written, vocabulary[eos], vocabulary[unk], len(order))
    return written


def byte_pairs(pieces: Mapping[str, Piece], unk: str, bos: str, eos: str) -> bytes:
    """A SentencePiece model that joins the pair of the best score first, of these pieces in order:
    those named <0x00> to <0xFF>, if they are there, stand for the bytes of what no other does.

    A text begins with a space; no other is added or removed, and nothing is normalised.
    Raises CheckpointError where SentencePiece takes them otherwise, or not at all.
    """
    require(dict.fromkeys(pieces, 0), (unk, bos, eos))
    kinds = dict.fromkeys(filter(NAMED_BYTE.fullmatch, pieces), BYTE)
    kinds |= dict.fromkeys(filter(CONTROLS.__contains__, pieces), CONTROL)
    kinds |= {bos: CONTROL, eos: CONTROL, unk: UNKNOWN}
    typed = {n: Piece(p.score, kinds.get(n, NORMAL)) for n, p in pieces.items()}
    return scored(typed, (unk, bos, eos))


def scored(
    pieces: Mapping[str, Piece], marks: tuple[str, str, str], space_before: bool = True
) -> bytes:
    """A SentencePiece model as `byte_pairs`, of pieces that have their types.

    `marks` are the pieces of what is unknown, and of the beginning and the end of a text, of which
    the last two may be empty.  `space_before` tells whether a text begins with a space.
    """
    unk, bos, eos = marks
    require(dict.fromkeys(pieces, 0), [unk, *filter(None, (bos, eos))])
    fallback = any(piece.type == BYTE for piece in pieces.values())
    listed = [_written(name, piece) for name, piece in pieces.items()]
    names = {UNK_PIECE: unk, BOS_PIECE: bos, EOS_PIECE: eos}
    spaces = {EXTRA_SPACES: False} | ({} if space_before else {DUMMY_PREFIX: False})
    more = field(BYTE_FALLBACK, VARINT, b"\1") if fallback else b""
    written = _model(listed, BYTE_PAIRS, spaces, names, more)
    order = list(pieces)
    _check(written, order.index(eos) if eos else NO_PIECE, order.index(unk), len(order))
    return written


def padded(content: bytes, size: int) -> bytes:
    """The SentencePiece model `content` with pieces of no text behind its own, up to `size`: for a
    model with more embeddings than pieces.

    Raises CheckpointError where it is damaged or has more pieces.
    """
    pieces, _ = _parsed(content)
    if len(pieces) > size:
        raise CheckpointError(f"SentencePiece model: {len(pieces)} pieces for {size} embeddings")
    return extended(content, [f"<unused{i}>" for i in range(len(pieces), size)], CONTROL)


def extended(content: bytes, names: Sequence[str], kind: int) -> bytes:
    """The SentencePiece model `content` with more pieces of a kind behind its own."""
    return content + b"".join(_written(name, Piece(type=kind)) for name in names)


def of_bytes(special: tuple[str, str, str], more: Sequence[str]) -> bytes:
    """A SentencePiece model of the bytes of a text.

    The first pieces are padding, eos and unk of `special`, then the 256 bytes, then `more`, which
    are pieces of texts.  A text is what its bytes are: nothing is normalised, and no space is
    changed.
    """
    _, eos, unk = special
    pieces = [_written(name, Piece(type=UNKNOWN if name == unk else CONTROL)) for name in special]
    pieces += [_written(f"<0x{byte:02X}>", Piece(type=BYTE)) for byte in range(256)]
    pieces += [_written(name, Piece(type=USER_DEFINED)) for name in more]
    spaces = dict.fromkeys((DUMMY_PREFIX, EXTRA_SPACES, MARKED_SPACES), False)
    names = {UNK_PIECE: unk, EOS_PIECE: eos}
    fallback = field(BYTE_FALLBACK, VARINT, b"\1")
    written = _model(pieces, CHARACTERS, spaces, names, fallback)
    _check(written, special.index(eos), special.index(unk), len(pieces))
    return written


def with_added(content: bytes, added: Mapping[str, int]) -> bytes:
    """The SentencePiece model `content` with tokens `added` behind its pieces, which are found in a
    text before it is cut.  Ids between that no token has are pieces of no text.

    Raises CheckpointError where it is damaged, or where an id is the id of another piece.
    """
    if not added:
        return content
    count, names = len(_parsed(content)[0]), {i: token for token, i in added.items()}
    if len(names) < len(added) or min(names) < count or max(names) > 2 * count + MOST_MORE:
        raise CheckpointError(f"{len(added)} tokens were added with ids of other pieces")
    more = [
        _written(names[i].replace(" ", SPACE), Piece(type=USER_DEFINED)) if i in names
        else _written(f"<unused{i}>", Piece(type=CONTROL))
        for i in range(count, max(names) + 1)
    ]  # fmt: skip
    return content + b"".join(more)


def pieces_of(content: bytes) -> dict[str, Piece]:
    """The pieces of a SentencePiece model, in order; raises CheckpointError for a damaged one."""
    return dict(_parsed(content)[0])


def _model(
    pieces: Sequence[bytes],
    kind: bytes,
    spaces: Mapping[int, bool],
    names: Mapping[int, str],
    fallback: bytes = b"",
) -> bytes:
    """A model of these pieces: its kind, what is done to white space, the names of special ones."""
    trainer = field(KIND, VARINT, kind) + fallback
    trainer += b"".join(field(number, BYTES, name.encode()) for number, name in names.items())
    normalizer = b"".join(field(number, VARINT, bytes([on])) for number, on in spaces.items())
    rest = [field(TRAINER, BYTES, trainer), field(NORMALIZER, BYTES, normalizer)]
    return b"".join([*pieces, *rest])


def _ordered(vocabulary: Mapping[str, int], needed: tuple[str, ...]) -> list[str]:
    """The pieces in the order of their ids; raises CheckpointError for gaps, or for a `needed` one
    that is missing."""
    order = sorted(vocabulary, key=vocabulary.__getitem__)
    if [vocabulary[piece] for piece in order] != list(range(len(order))):
        raise CheckpointError(f"vocabulary: the ids are not 0 to {len(order) - 1}, each once")
    require(vocabulary, needed)
    return order


def require(vocabulary: Mapping[str, int], names: Sequence[str]) -> None:
    """Raises CheckpointError where a vocabulary lacks one of these pieces."""
    missing = [name for name in names if name not in vocabulary]
    if missing:
        raise CheckpointError(f"vocabulary: no {' and no '.join(missing)}")


def _check(content: bytes, eos: int, unk: int, size: int) -> None:
    """Raises CheckpointError unless SentencePiece reads the model as it was meant."""
    read = processor(content)
    found = read.vocab_size(), read.eos_id(), read.unk_id()
    if found != (size, eos, unk):
        raise CheckpointError(f"SentencePiece model: {found} instead of {(size, eos, unk)}")


def _listed(name: str, known: Mapping[str, Piece]) -> bytes:
    """A piece of the list as a field of the model, which may not know it."""
    if name not in known and LANGUAGE_MARK.fullmatch(name):
        return _written(SPACE + name, Piece(type=USER_DEFINED))
    return _written(name, known.get(name, Piece(type=UNUSED)))


def _written(name: str, piece: Piece) -> bytes:
    """A piece as a field of a model."""
    try:
        body = field(PIECE, BYTES, name.encode())
    except UnicodeEncodeError:
        raise CheckpointError(f"vocabulary: {name!r:.80} has half a surrogate pair") from None
    body += field(SCORE, FOUR_BYTES, FLOAT.pack(piece.score))
    return field(PIECES, BYTES, body + field(TYPE, VARINT, varint(piece.type)))


def _parsed(content: bytes) -> tuple[list[tuple[str, Piece]], list[bytes]]:
    """The pieces of a model in order, and its other fields; raises CheckpointError for a damaged
    one."""
    try:
        found = list(fields(content))
        pieces = [_piece(value) for number, _, value in found if number == PIECES]
        return pieces, [field(*other) for other in found if other[0] != PIECES]
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise CheckpointError(f"SentencePiece model: {type(error).__name__}: {error}") from None


def _piece(body: bytes) -> tuple[str, Piece]:
    """Name and properties of a piece."""
    values = {number: value for number, _, value in fields(body)}
    (score,) = FLOAT.unpack(values.get(SCORE, bytes(FLOAT.size)))
    kind = values.get(TYPE, b"\x01")
    return values[PIECE].decode(), Piece(score, kind[0])
