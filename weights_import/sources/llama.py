"""What checkpoints of Llama's kind share (Touvron et al. 2023): a decoder alone, pre-norm by the
root of the mean square, with rotary positions, a gated hidden layer, and no biases."""

from __future__ import annotations

from typing import Any

from weights_import.float_model import Activation, Architecture


def architecture(
    d_model: int, heads: int, key_heads: int, vocabulary: int, frequencies: tuple[float, ...],
    activation: Activation = "swish", **own: Any,
) -> Architecture:  # fmt: skip
    """The architecture of such a model, and what else is its `own`."""
    return Architecture(
        d_model=d_model,
        heads=heads,
        key_heads=key_heads,
        encoder_layers=0,
        decoder_cell="self_attention",
        norm="rms",
        norm_position="pre",
        attention="softmax",
        activation=activation,
        gated=True,
        biases=False,
        embedding_scale=1.0,
        source_vocabulary=0,
        target_vocabulary=vocabulary,
        max_length_factor=1.0,
        rotary=frequencies,
        **own,
    )


def frequencies(base: float, head_size: int) -> tuple[float, ...]:
    """The angle, in radians, that a position turns pair i by: base^(-2 i / head_size)."""
    return tuple(base ** (-2 * i / head_size) for i in range(head_size // 2))
