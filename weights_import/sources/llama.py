"""What checkpoints of Llama's kind share (Touvron et al. 2023): a decoder alone, pre-norm by the
root of the mean square, with rotary positions, and a gated hidden layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer
from weights_import.errors import CheckpointError
from weights_import.operations.embedding import powers
from weights_import.operations.heads import Heads


@dataclass(frozen=True)
class Shape:
    """The sizes of such a model."""

    d_model: int
    d_ffn: int
    layers: int
    vocabulary: int
    heads: Heads
    activation: Activation = "swish"


def compose(c: Composer, shape: Shape) -> str:
    """The operations of the model; the name of its logits."""
    c.decode()
    x = c.embedding("decoder.embedding", "target_embedding", shape.vocabulary)
    for i in range(shape.layers):
        x = c.pre_norm(f"decoder.{i}.self", x, _attention(c, f"decoder.{i}.self", shape))
        x = c.pre_norm(f"decoder.{i}.ffn", x, _feed_forward(c, f"decoder.{i}.ffn", shape))
    return c.logits(c.norm("decoder.norm", x), shape.vocabulary)


def _attention(c: Composer, at: str, shape: Shape) -> Callable[[str], str]:
    return lambda y: c.self_attention(at, y, shape.heads)


def _feed_forward(c: Composer, at: str, shape: Shape) -> Callable[[str], str]:
    return lambda y: c.gated_feed_forward(at, y, shape.d_ffn, shape.activation)


def frequencies(base: float, head_size: int) -> tuple[float, ...]:
    """The angle, in radians, that a position turns pair i by: base^(-2 i / head_size)."""
    exponents = np.arange(head_size // 2) * -2 / head_size
    return tuple(powers(base, exponents).tolist())


def heads_of(count: int, key_heads: int, size: int, rotary: tuple[float, ...]) -> Heads:
    """The heads; raises CheckpointError for pairs that they have not."""
    if 2 * len(rotary) > size:
        raise CheckpointError(f"rotary has {len(rotary)} pairs of columns in heads of {size}")
    return Heads(count, size, key_heads, rotary)
