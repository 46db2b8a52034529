"""The common fields of GPT-2 and of models after it: GPT-J and GPT-Neo.

They have layer norms, no gates, and the tokenizer of GPT-2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from msgspec import field

from weights_import.composer import Normed
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_config import Id, Ids
from weights_import.sources.hugging_face_decoder_config import (
    Config,
    Epsilon,
    Function,
    Positions,
)
from weights_import.sources.safetensors_file import Size

END = 50256
"""The token that begins and ends a text, unless the configuration says otherwise."""


class GptConfig(Config, frozen=True, kw_only=True):
    """The fields of all of them, with the defaults of transformers."""

    bos_token_id: Id | None = END
    eos_token_id: Id | Ids = END
    hidden_act: Function = field(default="gelu_new", name="activation_function")
    layer_norm_epsilon: Epsilon = 1e-5

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_epsilon)

    @property
    def shape(self) -> Shape:
        return replace(super().shape, gated=False)


class OpenAiConfig(GptConfig, frozen=True, kw_only=True):
    """The fields with the names that GPT-2 gave them."""

    hidden_size: Size = field(name="n_embd")
    intermediate_size: Size | None = field(default=None, name="n_inner")
    max_position_embeddings: Positions = field(name="n_positions")
    num_attention_heads: Size = field(name="n_head")
    num_hidden_layers: Layers = field(name="n_layer")


class JoinedConfig(OpenAiConfig, frozen=True, kw_only=True):
    """The fields of GPT-2 and GPT-BigCode, with the defaults of transformers.

    Queries, keys and values have one joined matrix, and all matrices have biases.
    """

    add_cross_attention: Literal[False] = False
    scale_attn_weights: bool = True
    tie_word_embeddings: bool = True

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"attn": True, "mlp": True}

    @property
    def shape(self) -> Shape:
        return replace(super().shape, positions=self.max_position_embeddings)

    def query_factor(self, layer: int) -> float:
        return 1.0 if self.scale_attn_weights else math.sqrt(self.head_size)
