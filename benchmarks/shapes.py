"""Sizes of Transformers of random weights, and batches for them."""

from __future__ import annotations

import random
from dataclasses import dataclass

EOS, UNK = 0, 1
POSITIONS = 512


@dataclass(frozen=True)
class Shape:
    """Sizes of an encoder-decoder with post-norm, ReLU, sinusoidal positions and one vocabulary."""

    encoder_layers: int
    decoder_layers: int
    d_model: int
    d_ffn: int
    heads: int
    vocabulary: int
    decoder_cell: str = "self_attention"


SHAPES = {
    "base": Shape(6, 6, 512, 2048, 8, 32_000),
    "small": Shape(3, 3, 256, 1024, 4, 8_000),
    "tiny11": Shape(6, 2, 256, 1536, 8, 32_000, "ssru"),
}


def random_batch(shape: Shape, sentences: int, length: int) -> list[list[int]]:
    """Return sentences of random tokens, each of `length` tokens with eos.  Equal in every call."""
    draw = random.Random(7)
    return [
        [*(draw.randrange(2, shape.vocabulary) for _ in range(length - 1)), EOS]
        for _ in range(sentences)
    ]
