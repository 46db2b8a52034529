"""MPT models of Hugging Face's transformers (MosaicML 2023).

Positions are linear biases of the scores, and no product has a bias.  Queries, keys and values have
one matrix.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import msgspec
from msgspec import field

from weights_import.composer import Normed
from weights_import.sources import linear_biases
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_config import Id, Ids
from weights_import.sources.hugging_face_decoder_config import (
    Config,
    Epsilon,
    Factor,
    Function,
    Positions,
)
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import projection, scaled
from weights_import.tensors import Stored

JOINED = ("self.query", "self.key", "self.value")
END = 0
"""The token <|endoftext|> of GPT-NeoX's tokenizer, which begins and ends a text."""
NAMES = Names(
    body="transformer.",
    layer="blocks.{}.",
    embedding="wte.weight",
    last_norm="norm_f",
    parts={
        "self.norm": "norm_1",
        **dict.fromkeys(JOINED, "attn.Wqkv"),
        "self.output": "attn.out_proj",
        "ffn.norm": "norm_2",
        "ffn.inner": "ffn.up_proj",
        "ffn.outer": "ffn.down_proj",
    },
)


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of `attn_config`."""

    alibi: Literal[True] = True
    alibi_bias_max: Literal[8] = 8
    attn_type: Literal["multihead_attention"] = "multihead_attention"
    clip_qkv: None = None
    prefix_lm: Literal[False] = False
    qk_ln: Literal[False] = False
    softmax_scale: Factor | None = None


class MptConfig(Config, frozen=True, kw_only=True):
    """The fields of MPT, with the defaults of transformers."""

    attn_config: Attention = Attention()
    bos_token_id: Id | None = None
    eos_token_id: Id | Ids = END
    expansion_ratio: Literal[4] = 4
    hidden_act: Function = "gelu"
    hidden_size: Size = field(name="d_model")
    layer_norm_epsilon: Epsilon = 1e-5
    logit_scale: None = None
    max_position_embeddings: Positions = field(default=2048, name="max_seq_len")
    no_bias: Literal[True] = True
    num_attention_heads: Size = field(name="n_heads")
    num_hidden_layers: Layers = field(name="n_layers")
    tie_word_embeddings: bool = True

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_epsilon, bias=False)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"attn": False, "ffn": False}

    @property
    def addends(self) -> Stored | None:
        return linear_biases.table(self.num_attention_heads)

    @property
    def shape(self) -> Shape:
        return replace(super().shape, gated=False)

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part not in JOINED:
            return tensor
        found = projection(tensor, self.heads, part.partition(".")[2])
        told = self.attn_config.softmax_scale
        return (
            scaled(found, told * math.sqrt(self.head_size)) if told and part == JOINED[0] else found
        )


FAMILY = Family({"mpt": "MPT"}, MptConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
