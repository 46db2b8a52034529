"""What is read of the configurations of decoders alone of Hugging Face's transformers.

Each kind of model names some fields in its own way and has its own defaults.  Its class says so.
Other keys do not change what a model computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Normed
from weights_import.operations.heads import Heads
from weights_import.sources import decoder_only, linear_biases, rotary_heads
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_decoder import Decoder, size_of_heads
from weights_import.sources.lookup import Own
from weights_import.sources.rope_scaling import Rotary
from weights_import.sources.safetensors_file import Size
from weights_import.tensors import Stored

UNLIMITED = 1 << 20
"""Positions of a model are counted up to here."""
Positions = Annotated[int, msgspec.Meta(ge=1, le=UNLIMITED)]
HeadSize = Annotated[int, msgspec.Meta(ge=1, le=1 << 12)]
Epsilon = Annotated[float, msgspec.Meta(ge=0, le=1)]
Factor = Annotated[float, msgspec.Meta(ge=2**-10, le=2**20)]

Function = Literal[
    "relu", "silu", "swish", "gelu", "gelu_python", "gelu_new", "gelu_pytorch_tanh", "gelu_fast"
]
ACTIVATIONS: dict[Function, Activation] = {
    "relu": "relu",
    "silu": "swish",
    "swish": "swish",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}


class Config(Decoder, frozen=True, kw_only=True):
    """A decoder whose positions do not turn queries and keys."""

    hidden_act: Function
    hidden_size: Size
    head_dim: HeadSize | None = None
    intermediate_size: Size | None = None
    max_position_embeddings: Positions
    num_attention_heads: Size
    num_hidden_layers: Layers
    num_key_value_heads: Size | None = None
    tie_word_embeddings: bool = False

    @property
    def norm(self) -> Normed:
        """The norms."""
        raise NotImplementedError

    @property
    def has_gains(self) -> bool:
        """Whether the norms have gains and biases."""
        return True

    @property
    def biases(self) -> Mapping[str, bool]:
        """For each part of a layer, such as `self_attn`, whether its products have biases."""
        raise NotImplementedError

    @property
    def own_names(self) -> Mapping[str, str]:
        """The names in a layer that another model of the family may not have."""
        return {}

    @property
    def width(self) -> int:
        return self.hidden_size

    def query_factor(self, layer: int) -> float:
        """The factor of the queries of a layer, whose scores are divided by the root of the size of
        a head."""
        return 1.0

    def widened(self, words: Mapping[str, Own], found: Mapping[str, Stored]) -> dict[str, Own]:
        """The matrices of words in the width of the stream; raises CheckpointError.

        `found` are the tensors of the file by their names in the body.
        """
        return dict(words)

    def window_of(self, layer: int) -> int:
        """The number of the last tokens that a layer sees, or 0 for all; raises CheckpointError."""
        return 0

    @property
    def positions(self) -> int:
        return self.max_position_embeddings

    @property
    def activation(self) -> Activation:
        """The activation of the hidden layer, or of its gate."""
        return ACTIVATIONS[self.hidden_act]

    @property
    def inner(self) -> int:
        """The columns of the hidden layer."""
        return self.intermediate_size or 4 * self.hidden_size

    @property
    def head_size(self) -> int:
        """The columns of a head; raises CheckpointError where neither key tells them."""
        return self.head_dim or size_of_heads(self.hidden_size, self.num_attention_heads)

    @property
    def rotary(self) -> Rotary:
        """How positions turn queries and keys; raises CheckpointError."""
        return Rotary()

    @property
    def heads(self) -> Heads:
        """The heads of the attention; raises CheckpointError."""
        count = self.num_attention_heads
        keys, turned = self.num_key_value_heads or count, self.rotary.frequencies
        return rotary_heads.heads_of(count, keys, self.head_size, turned)

    def heads_of(self, heads: Heads, layer: int) -> Heads:
        """The heads of one layer; raises CheckpointError."""
        window = self.window_of(layer)
        return replace(heads, window=window if window < self.max_position_embeddings else 0)

    @property
    def addends(self) -> Stored | None:
        """The table of the addends of scores, if there are any; raises CheckpointError."""
        return None

    @property
    def shape(self) -> decoder_only.Shape:
        """The sizes of the model; raises CheckpointError."""
        heads = self.heads
        each = {i: self.heads_of(heads, i) for i in range(self.num_hidden_layers)}
        return decoder_only.Shape(
            d_model=self.hidden_size,
            d_ffn=self.inner,
            layers=self.num_hidden_layers,
            vocabulary=self.vocab_size,
            heads=heads,
            own_heads={i: own for i, own in each.items() if own != heads},
            activation=self.activation,
            addend=None if self.addends is None else linear_biases.addend(),
        )

    def changed(self, part: str, tensor: Stored) -> Stored:
        """A tensor of the file in the form that a product or a norm reads.

        `part` is its place in a layer, such as `self.query`.  Raises CheckpointError.
        """
        return tensor
