"""BLOOM models of Hugging Face's transformers (Scao et al. 2022, section 3.2).

Positions are linear biases of the scores, and the embeddings are normed.  The rows of queries, keys
and values of one head lie together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from msgspec import field

from weights_import.composer import Normed
from weights_import.sources import linear_biases
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_config import Id, Ids
from weights_import.sources.hugging_face_decoder_config import (
    Config,
    Epsilon,
    Function,
    Positions,
)
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.stored_rows import part as block
from weights_import.tensors import Stored

JOINED = ("self.query", "self.key", "self.value")
NAMES = Names(
    body="transformer.",
    layer="h.{}.",
    embedding="word_embeddings.weight",
    embedding_norm="word_embeddings_layernorm",
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


class BloomConfig(Config, frozen=True, kw_only=True):
    """The fields of BLOOM, with the defaults of transformers."""

    older: ClassVar[Mapping[str, str]] = {
        "n_embed": "hidden_size",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
    }
    apply_residual_connection_post_layernorm: Literal[False] = False
    bos_token_id: Id | None = 1
    eos_token_id: Id | Ids = 2
    hidden_act: Function = field(default="gelu_new", name="activation")
    layer_norm_epsilon: Epsilon = 1e-5
    max_position_embeddings: Positions = field(default=2048, name="seq_length")
    tie_word_embeddings: bool = True

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_epsilon)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attention": True, "mlp": True}

    @property
    def addends(self) -> Stored | None:
        return linear_biases.table(self.num_attention_heads)

    @property
    def shape(self) -> Shape:
        return replace(super().shape, gated=False, embedding_norm=True)

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part not in JOINED:
            return tensor
        blocks = self.num_attention_heads, len(JOINED), self.head_size
        return block(tensor, blocks, 1, JOINED.index(part))


FAMILY = Family({"bloom": "BLOOM"}, BloomConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
