"""A tiny random model, under canonical names and in Marian's format."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import random_float_model
from numpy.typing import NDArray

from weights_import.composer import Normed
from weights_import.float_model import FloatModel, Generation
from weights_import.sources.encoder_decoder import Shape

OPTIONS = """\
dec-cell: ssru
dec-depth: 2
dim-emb: 8
dim-vocabs:
  - 11
  - 11
enc-depth: 2
tied-embeddings-all: true
transformer-decoder-autoreg: rnn
transformer-dim-ffn: 12
transformer-ffn-activation: relu
transformer-heads: 2
type: transformer
"""
SELF_ATTENTION_OPTIONS = OPTIONS.replace("dec-cell: ssru\n", "").replace("rnn", "self-attention")
SHAPE = Shape(
    d_model=8,
    heads=2,
    d_ffn=12,
    encoder_layers=2,
    decoder_layers=2,
    activation="relu",
    source_vocabulary=11,
    target_vocabulary=11,
    embedding_scale=math.sqrt(8),
    recurrent=True,
)
GENERATION = Generation(
    start=-1,
    eos=0,
    unk=1,
    source_vocabulary=11,
    target_vocabulary=11,
    max_length_factor=2.5,
    alpha=0.0,
)


PRE_NORM_OPTIONS = """\
transformer-postprocess: da
transformer-postprocess-top: n
transformer-preprocess: n
"""


def random_model(
    seed: int, norm: Normed | None = None, optional: bool = True, **changes: Any
) -> FloatModel:
    """Return an untied model with the optional bias of the SSRU cell, so that it has every tensor.

    norm      the kind of its norms
    optional  False: without the tensors that a model may lack
    changes   of SHAPE, or else fields of `Generation`
    """
    of_shape = {field.name for field in fields(Shape)}
    shape = replace(SHAPE, **{name: v for name, v in changes.items() if name in of_shape})
    generation = {name: v for name, v in changes.items() if name not in of_shape}
    return random_float_model.random_model(shape, seed, norm, optional, **generation)


@dataclass
class Stored:
    """One entry of a Marian file: floats, or integers with a multiplier.  A weight is [in, out]."""

    values: NDArray[np.float32] | NDArray[np.int8]
    multiplier: float | None = None


def names(cell: str = "rnn", pre: str = "") -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yield (Marian's name, canonical name, Marian's shape) of all tensors except the embeddings.

    cell  "rnn" for an SSRU, "self" for self-attention in the decoder
    pre   "_pre" for the norms of pre-norm
    """
    yield "decoder_ff_logit_out_b", "output.bias", (1, 11)
    for stack, blocks in (("encoder", ["self"]), ("decoder", ["context", cell])):
        if pre:
            yield f"{stack}_top_ln_scale", f"{stack}.norm.gain", (1, 8)
            yield f"{stack}_top_ln_bias", f"{stack}.norm.bias", (1, 8)
        for layer in range(2):
            old, new = f"{stack}_l{layer + 1}_", f"{stack}.{layer}."
            for block in blocks:
                if block == "rnn":
                    yield f"{old}rnn_W", f"{new}ssru.cell.weight", (8, 8)
                    yield f"{old}rnn_Wf", f"{new}ssru.gate.weight", (8, 8)
                    yield f"{old}rnn_bf", f"{new}ssru.gate.bias", (1, 8)
                    normed = "rnn" if pre else "rnn_ffn"
                    yield f"{old}{normed}_ln_scale{pre}", f"{new}ssru.norm.gain", (1, 8)
                    yield f"{old}{normed}_ln_bias{pre}", f"{new}ssru.norm.bias", (1, 8)
                    continue
                name = {"self": "self", "context": "cross"}[block]
                for letter, role in zip("qkvo", ("query", "key", "value", "output"), strict=True):
                    yield f"{old}{block}_W{letter}", f"{new}{name}.{role}.weight", (8, 8)
                    yield f"{old}{block}_b{letter}", f"{new}{name}.{role}.bias", (1, 8)
                yield f"{old}{block}_Wo_ln_scale{pre}", f"{new}{name}.norm.gain", (1, 8)
                yield f"{old}{block}_Wo_ln_bias{pre}", f"{new}{name}.norm.bias", (1, 8)
            yield f"{old}ffn_W1", f"{new}ffn.inner.weight", (8, 12)
            yield f"{old}ffn_b1", f"{new}ffn.inner.bias", (1, 12)
            yield f"{old}ffn_W2", f"{new}ffn.outer.weight", (12, 8)
            yield f"{old}ffn_b2", f"{new}ffn.outer.bias", (1, 8)
            yield f"{old}ffn_ffn_ln_scale{pre}", f"{new}ffn.norm.gain", (1, 8)
            yield f"{old}ffn_ffn_ln_bias{pre}", f"{new}ffn.norm.bias", (1, 8)


def stored(
    seed: int, quantised: bool = False, cell: str = "rnn", pre: str = ""
) -> dict[str, Stored]:
    """Return the random content of a Marian file with tied embeddings."""
    random = np.random.default_rng(seed)
    items: dict[str, Stored] = {}
    for name, shape in [("Wemb", (11, 8)), *((old, shape) for old, _, shape in names(cell, pre))]:
        if quantised and shape[0] > 1:
            multiplier = float(np.float32(random.uniform(20, 90)))
            items[name] = Stored(random.integers(-127, 128, shape).astype(np.int8), multiplier)
            items[f"{name}_QuantMultA"] = Stored(np.array([[random.uniform(5, 20)]], np.float32))
        else:
            items[name] = Stored(random.normal(0, 0.7, shape).astype(np.float32))
    return items


def payload(name: str, item: Stored) -> tuple[int, bytes]:
    """Return type and data. intgemm8 matrices are transposed, embeddings are not.

    Both are padded to 256 bytes.
    """
    if item.multiplier is None:
        return 0x404, np.ascontiguousarray(item.values).tobytes()
    ordered = item.values if name.endswith("Wemb") else item.values.T
    data = np.ascontiguousarray(ordered).tobytes() + struct.pack("<f", item.multiplier)
    return 0x4101, data + b"\x5a" * (-len(data) % 256)


def write_bin(items: dict[str, Stored], options: str = OPTIONS, padding: int = 7) -> bytes:
    """Return the bytes of a Marian .bin file."""
    text = options.encode() + b"\0"
    entries = [(name, item.values.shape, *payload(name, item)) for name, item in items.items()]
    entries.append(("special:model.yml", (len(text),), 0x101, text))
    return pack(entries, padding)


def pack(entries: Sequence[tuple[str, tuple[int, ...], int, bytes]], padding: int = 7) -> bytes:
    """Return a .bin file from unchecked entries (name, shape, type, data)."""
    parts = [struct.pack("<2Q", 1, len(entries))]
    parts += [
        struct.pack("<4Q", len(name) + 1, kind, len(shape), len(data))
        for name, shape, kind, data in entries
    ]
    parts += [name.encode() + b"\0" for name, *_ in entries]
    parts += [struct.pack(f"<{len(shape)}i", *shape) for _, shape, *_ in entries]
    parts += [struct.pack("<Q", padding), b"\0" * padding]
    parts += [data for *_, data in entries]
    return b"".join(parts)
