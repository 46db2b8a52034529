"""GPT-NeoX and Pythia models of Hugging Face's transformers (Black et al. 2022, section 2).

Attention and hidden layer mostly read one sum, each with a norm of its own.  The rows of queries,
keys and values of one head lie together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from msgspec import field

from weights_import.composer import Normed
from weights_import.sources.decoder_only import Residual, Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon, Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.hugging_face_rope import Base, RotaryConfig, Share
from weights_import.sources.stored_rows import part as block
from weights_import.tensors import Stored

JOINED = ("self.query", "self.key", "self.value")
NAMES = Names(
    body="gpt_neox.",
    layer="layers.{}.",
    embedding="embed_in.weight",
    last_norm="final_layer_norm",
    parts={
        "self.norm": "input_layernorm",
        **dict.fromkeys(JOINED, "attention.query_key_value"),
        "self.output": "attention.dense",
        "ffn.norm": "post_attention_layernorm",
        "ffn.inner": "mlp.dense_h_to_4h",
        "ffn.outer": "mlp.dense_4h_to_h",
    },
    heads=("embed_out.weight", "lm_head.weight"),
)


class GptNeoxConfig(RotaryConfig, frozen=True, kw_only=True):
    """The fields of GPT-NeoX, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    attention_bias: bool = True
    hidden_act: Function = "gelu"
    layer_norm_eps: Epsilon = 1e-5
    partial_rotary_factor: Share = field(default=0.25, name="rotary_pct")
    rope_theta: Base = field(default=10000.0, name="rotary_emb_base")
    use_parallel_residual: bool = True

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_eps)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"attention": self.attention_bias, "mlp": True}

    @property
    def shape(self) -> Shape:
        residual: Residual = "parallel" if self.use_parallel_residual else "in turn"
        return replace(super().shape, gated=False, residual=residual)

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part not in JOINED:
            return tensor
        blocks = self.num_attention_heads, len(JOINED), self.head_size
        return block(tensor, blocks, 1, JOINED.index(part))


FAMILY = Family({"gpt_neox": "GPT-NeoX"}, GptNeoxConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
