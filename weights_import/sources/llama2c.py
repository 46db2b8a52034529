"""Llama models as llama2.c keeps them: its `.bin` in float32, and the tokenizer beside it.

Little endian.  Of the first layout, seven int32 and the tensors; of version 1, "ak42" (backwards),
the version, the same numbers, one byte for whether the output matrix is the embedding, zeros up to
256 bytes, and the tensors in another order.  A tensor is that of all layers.  Queries and keys have
the two columns of a pair side by side; here all first ones come first.

A tokenizer, `tokenizer.bin` or `tok*.bin`, has the length of the longest piece, then score, length
and bytes of each.  Texts are kept apart by the token that begins them, <s>, which is what ends a
generated one too.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weights_import.float_model import Architecture, CheckpointError, Float32, FloatModel
from weights_import.sources import llama
from weights_import.sources.checkpoint_bytes import Cursor, whole
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import SPACE, Piece, byte_pairs

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
LONGEST = struct.Struct("<I")
PIECE = struct.Struct("<fI")

FIRST_ORDER = "embedding norm query key value output ffn_norm gate outer inner last turns head"
ORDER_1 = "norm ffn_norm last embedding query key value output gate outer inner head"


@dataclass(frozen=True)
class Header:
    """What a file says of its model, and where its tensors begin and in which order."""

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
    try:
        content = whole(path)
        told = header(content[:HEADER_BYTES])
        if told.size != len(content):
            raise CheckpointError(f"{len(content)} bytes, but its sizes make {told.size}")
        parts, at = {}, told.start
        for name, shape in told.shapes().items():
            count = math.prod(shape)
            parts[name] = np.frombuffer(content, "<f4", count, at).reshape(shape)
            at += 4 * count
        model = FloatModel(
            architecture(told),
            canonical(told, parts),
            tokenizers=tokenizers(path, told.vocabulary),
            wanted=" or ".join(TOKENIZERS),
            provenance={
                "file": path.name,
                "format": "llama2.c float32",
                "sha256": hashlib.sha256(content).hexdigest(),
            },
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def architecture(told: Header) -> Architecture:
    """The architecture that a header tells."""
    return llama.architecture(
        told.d_model,
        told.heads,
        told.key_heads,
        told.vocabulary,
        llama.frequencies(BASE, told.d_model // told.heads),
        d_ffn=told.d_ffn,
        decoder_layers=told.layers,
        norm_epsilon=NORM_EPSILON,
        start=BOS,
        eos=BOS,
        unk=UNK,
        max_positions=told.positions,
    )


def canonical(told: Header, parts: dict[str, Float32]) -> dict[str, Float32]:
    """The tensors under their canonical names."""
    table = parts["embedding"].astype(np.float32)
    head = table if told.tied else parts["head"].astype(np.float32)
    tensors = {"target_embedding": table, "output.weight": head}
    tensors["decoder.norm.gain"] = parts["last"].astype(np.float32)
    names = {"norm": "self.norm.gain", "ffn_norm": "ffn.norm.gain"}
    names |= {part: f"self.{part}.weight" for part in ("query", "key", "value", "output")}
    names |= {part: f"ffn.{part}.weight" for part in ("gate", "inner", "outer")}
    for part, name in names.items():
        for layer, values in enumerate(parts[part]):
            if part in ("query", "key"):
                values = first_ones_first(values, told.d_model // told.heads)
            tensors[f"decoder.{layer}.{name}"] = values.astype(np.float32)
    return tensors


def first_ones_first(weight: Float32, head_size: int) -> Float32:
    """The rows of each head, those of even number before those of odd number."""
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
