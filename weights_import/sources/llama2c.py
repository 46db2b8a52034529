"""Llama models of llama2.c: its `.bin` in float32, and the tokenizer beside it.

All numbers are little endian.  The first layout is seven int32 and the tensors.  Version 1 is
"ak42" (backwards), the version, the same numbers, one byte that is 1 if the output matrix is the
embedding, zeros up to 256 bytes, and the tensors in another order.  A tensor contains all layers.
The file has the two columns of a pair of queries and keys side by side.  The reader moves all first
columns of a head before all second columns.

A tokenizer, `tokenizer.bin` or `tok*.bin`, is the length of the longest piece, then the score, the
length and the bytes of each piece.  The token <s> begins each text.  It also ends a generated text.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError, located
from weights_import.float_model import FloatModel, Generation
from weights_import.sources import decoder_only, rotary_heads
from weights_import.sources.checkpoint_bytes import Cursor
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.unchanged_file import UnchangedFile
from weights_import.sources.vocabulary import SPACE, Piece, byte_pairs
from weights_import.tensors import Float32, Stored

FORMAT = "llama2.c (.bin, float32)"
MAGIC = struct.pack("<I", 0x616B3432)
VERSION = struct.Struct("<i")
NUMBERS = struct.Struct("<7i")
FLAG = struct.Struct("<B")
HEADER_BYTES = 256
MOST = 1 << 24
NORM_EPSILON = 1e-5
BASE = 10000.0
UNK, BOS, EOS = 0, 1, 2
NAMES = {UNK: "<unk>", BOS: "<s>", EOS: "</s>"}
TOKENIZERS = "tokenizer.bin", "tok*.bin"
BYTE, FLOAT = np.dtype(np.uint8), np.dtype("<f4")
LONGEST = struct.Struct("<I")
PIECE = struct.Struct("<fI")

FIRST_ORDER = "embedding norm query key value output ffn_norm gate outer inner last turns head"
ORDER_1 = "norm ffn_norm last embedding query key value output gate outer inner head"
ALONE = {"embedding": "target_embedding", "last": "decoder.norm.gain", "head": "output.weight"}
"""Canonical names of the parts that do not belong to a layer."""
OF_LAYERS = {
    "norm": "self.norm.gain",
    "ffn_norm": "ffn.norm.gain",
    **{part: f"self.{part}.weight" for part in ("query", "key", "value", "output")},
    **{part: f"ffn.{part}.weight" for part in ("gate", "inner", "outer")},
}
"""Canonical names, within a layer, of the parts that contain all layers."""


@dataclass(frozen=True)
class Header:
    """The sizes of the model of a file, and the place and order of its tensors."""

    d_model: int
    d_ffn: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int
    positions: int
    tied: bool
    start: int
    order: list[str]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each part of the file, for all layers."""
        d, ffn, layers = self.d_model, self.d_ffn, self.layers
        keys = d // self.heads * self.key_heads
        square, table = (layers, d, d), (self.vocabulary, d)
        every: dict[str, tuple[int, ...]] = {
            "embedding": table,
            "norm": (layers, d),
            "query": square,
            "key": (layers, keys, d),
            "value": (layers, keys, d),
            "output": square,
            "ffn_norm": (layers, d),
            "gate": (layers, ffn, d),
            "outer": (layers, d, ffn),
            "inner": (layers, ffn, d),
            "last": (d,),
            "turns": (2, self.positions, d // self.heads // 2),
            "head": table,
        }
        left_out = {"head"} if self.tied else set()
        return {name: every[name] for name in self.order if name not in left_out}

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.start + 4 * sum(math.prod(shape) for shape in self.shapes().values())


def header(start: bytes) -> Header:
    """The header that a file begins with; raises CheckpointError for what is none."""
    cursor = Cursor(start)
    versioned = start.startswith(MAGIC)
    if versioned:
        cursor.take(len(MAGIC), "magic")
        (version,) = cursor.numbers(VERSION, "version")
        if version != 1:
            raise CheckpointError(f"version {version} (supported: the first layout, and 1)")
    *sizes, vocabulary, positions = cursor.numbers(NUMBERS, "header")
    tied = bool(cursor.numbers(FLAG, "header")[0]) if versioned else vocabulary > 0
    numbers = [*sizes, vocabulary if versioned else abs(vocabulary), positions]
    d, ffn, layers, heads, key_heads, words, positions = numbers
    if not all(1 <= n <= MOST for n in numbers) or d % heads or heads % key_heads or d // heads % 2:
        raise CheckpointError(f"header: {numbers} are no sizes of a model")
    start_at, order = (HEADER_BYTES, ORDER_1) if versioned else (NUMBERS.size, FIRST_ORDER)
    shape = (d, ffn, layers, heads, key_heads, words, positions)
    return Header(*shape, tied=tied, start=start_at, order=order.split())


def recognises(path: Path) -> bool:
    """Whether the file has the magic number, or begins with sizes that make up its length."""
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    if start.startswith(MAGIC):
        return True
    try:
        return header(start).size == path.stat().st_size
    except CheckpointError:
        return False


def companions(path: Path) -> list[Path]:
    """Its tokenizer."""
    found = tokenizer_file(path)
    return [] if found is None else [found]


def tokenizer_file(path: Path) -> Path | None:
    """The tokenizer beside a checkpoint: none where there are several of one pattern."""
    for pattern in TOKENIZERS:
        found = [file for file in path.parent.glob(pattern) if file.is_file() and file != path]
        if len(found) == 1:
            return found[0]
    return None


def read(path: Path) -> FloatModel:
    """Reads a checkpoint and its tokenizer; raises CheckpointError with what is wrong and where."""
    with located(path):
        file = UnchangedFile.of(path)
        told = header(file.numbers(0, min(HEADER_BYTES, file.size), BYTE).tobytes())
        if told.size != file.size:
            raise CheckpointError(f"{file.size} bytes, but its sizes make {told.size}")
        c = Composer(
            tensors(file, told).get, told.d_model, Normed("rms", NORM_EPSILON, False), False
        )
        program, found = c.finish(decoder_only.compose(c, shape(told)))
        return FloatModel(
            program,
            found,
            Generation(
                start=BOS,
                eos=BOS,
                unk=UNK,
                target_vocabulary=told.vocabulary,
                max_positions=told.positions,
            ),
            tokenizers=tokenizers(path, told.vocabulary),
            wanted=" or ".join(TOKENIZERS),
            provenance={
                "file": path.name,
                "format": "llama2.c float32",
                "sha256": file.sha256(),
            },
        )


def shape(told: Header) -> decoder_only.Shape:
    """The sizes that a header tells."""
    size = told.d_model // told.heads
    frequencies = rotary_heads.frequencies(BASE, size)
    heads = rotary_heads.heads_of(told.heads, told.key_heads, size, frequencies)
    return decoder_only.Shape(told.d_model, told.d_ffn, told.layers, told.vocabulary, heads)


def tensors(file: UnchangedFile, told: Header) -> dict[str, Stored]:
    """The tensors by their canonical names, each of which is read when it is used."""
    found: dict[str, Stored] = {}
    at = told.start
    for part, shape in told.shapes().items():
        if part in ALONE:
            found[ALONE[part]] = stored(file, at, shape)
        elif part in OF_LAYERS:
            for layer, tensor in enumerate(of_layers(file, at, shape)):
                if part in ("query", "key"):
                    order = partial(first_ones_first, head_size=told.d_model // told.heads)
                    tensor = tensor.changed(tensor.shape, order)
                found[f"decoder.{layer}.{OF_LAYERS[part]}"] = tensor
        at += 4 * math.prod(shape)
    if told.tied:
        found["output.weight"] = found["target_embedding"]
    return found


def of_layers(file: UnchangedFile, offset: int, shape: tuple[int, ...]) -> list[Stored]:
    """The tensors of all layers, which stand one after another from a byte of a file on."""
    layers, *one = shape
    return [stored(file, offset + 4 * math.prod(one) * i, tuple(one)) for i in range(layers)]


def stored(file: UnchangedFile, offset: int, shape: tuple[int, ...]) -> Stored:
    """A tensor that begins at a byte of a file."""

    def read() -> Float32:
        values = file.numbers(offset, math.prod(shape), FLOAT).reshape(shape)
        return values.astype(np.float32, copy=False)

    return Stored(f"byte {offset}", shape, read)


def first_ones_first(weight: Float32, head_size: int) -> Float32:
    """The weight with the even rows of each head before its odd rows."""
    pairs = weight.reshape(-1, head_size // 2, 2, weight.shape[1])
    return pairs.swapaxes(1, 2).reshape(weight.shape)


def tokenizers(path: Path, vocabulary: int) -> dict[str, bytes]:
    """The tokenizer beside a checkpoint as a SentencePiece model, if there is one."""
    file = tokenizer_file(path)
    if file is None:
        return {}
    try:
        pieces = dict(read_pieces(read_limited(file), vocabulary))
        if len(pieces) != vocabulary:
            raise CheckpointError("a piece is there twice")
        names = {kind: NAMES[i] for kind, i in (("unk", UNK), ("bos", BOS), ("eos", BOS))}
        return {"target": byte_pairs(pieces, **names)}
    except CheckpointError as error:
        raise CheckpointError(f"{file.name}: {error}") from None


def read_pieces(content: bytes, vocabulary: int) -> list[tuple[str, Piece]]:
    """Name and score of each piece; raises CheckpointError."""
    cursor = Cursor(content)
    cursor.numbers(LONGEST, "longest piece")
    found = []
    for i in range(vocabulary):
        score, length = cursor.numbers(PIECE, f"piece {i}")
        text = bytes(cursor.take(length, f"piece {i}"))
        try:
            name = NAMES.get(i, text.decode().replace(" ", SPACE))
        except UnicodeDecodeError as error:
            raise CheckpointError(f"piece {i}: {error}") from None
        found.append((name, Piece(score)))
    if cursor.offset != len(content):
        raise CheckpointError(f"{len(content) - cursor.offset} bytes after {vocabulary} pieces")
    return found
