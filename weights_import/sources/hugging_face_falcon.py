"""Falcon models of Hugging Face's transformers (Almazrouei et al. 2023, section 3.5).

Attention and hidden layer mostly read one sum.  The rows of the queries that share a head of keys
and values lie together, then come the rows of these keys, and of these values.  Positions turn
queries and keys, or are linear biases of the scores.  transformers rounds these biases to bfloat16;
here they are exact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from msgspec import field

from weights_import.composer import Normed
from weights_import.operations.heads import Heads
from weights_import.sources import linear_biases
from weights_import.sources.decoder_only import Residual, Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon, Function, Positions
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.hugging_face_rope import RotaryConfig
from weights_import.sources.rope_scaling import Rotary
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import part as block
from weights_import.tensors import Stored

JOINED = ("self.query", "self.key", "self.value")
NAMES = Names(
    body="transformer.",
    layer="h.{}.",
    embedding="word_embeddings.weight",
    last_norm="ln_f",
    parts={
        "self.norm": "input_layernorm",
        **dict.fromkeys(JOINED, "self_attention.query_key_value"),
        "self.output": "self_attention.dense",
        "ffn.norm": "post_attention_layernorm",
        "ffn.inner": "mlp.dense_h_to_4h",
        "ffn.outer": "mlp.dense_4h_to_h",
    },
)
OWN_NORMS = {"self.norm": "ln_attn", "ffn.norm": "ln_mlp"}
"""The names of norms where each sublayer has its own norm of one sum."""


class FalconConfig(RotaryConfig, frozen=True, kw_only=True):
    """The fields of Falcon, with the defaults of transformers."""

    alibi: bool = False
    bias: bool = False
    hidden_act: Function = field(default="gelu", name="activation")
    intermediate_size: Size | None = field(default=None, name="ffn_hidden_size")
    layer_norm_epsilon: Epsilon = 1e-5
    max_position_embeddings: Positions = 2048
    multi_query: bool = True
    new_decoder_architecture: bool = False
    num_ln_in_parallel_attn: Literal[1, 2] = 2
    num_key_value_heads: Size | None = field(default=None, name="num_kv_heads")
    parallel_attn: bool = True
    tie_word_embeddings: bool = True

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_epsilon)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attention": self.bias, "mlp": self.bias}

    @property
    def own_norms(self) -> bool:
        """Whether each sublayer has its own norm of one sum."""
        return self.new_decoder_architecture and self.num_ln_in_parallel_attn == 2

    @property
    def rotary(self) -> Rotary:
        return Rotary() if self.alibi else super().rotary

    @property
    def addends(self) -> Stored | None:
        """Falcon divides scores with their addends by the root of the size of a head."""
        if not self.alibi:
            return None
        return linear_biases.table(self.num_attention_heads, factor=1 / math.sqrt(self.head_size))

    @property
    def heads(self) -> Heads:
        found = super().heads
        if self.new_decoder_architecture:
            return found
        return replace(found, key_heads=1 if self.multi_query else found.count)

    @property
    def shape(self) -> Shape:
        residual: Residual = "parallel, one norm"
        if self.own_norms:
            residual = "parallel"
        elif not (self.parallel_attn or self.new_decoder_architecture):
            residual = "in turn"
        return replace(super().shape, gated=False, residual=residual)

    @property
    def own_names(self) -> Mapping[str, str]:
        return OWN_NORMS if self.own_norms else {}

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part not in JOINED:
            return tensor
        heads = self.heads
        blocks = heads.key_heads, heads.group + 2, heads.size
        if part == "self.query":
            return block(tensor, blocks, 1, 0, heads.group)
        return block(tensor, blocks, 1, heads.group + JOINED.index(part) - 1)


FAMILY = Family({"falcon": "Falcon"}, FalconConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
