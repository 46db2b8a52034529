"""GLM-4 models of Hugging Face's transformers (GLM Team 2024), the kinds glm and glm4.

They are of Llama's kind.  Positions turn pairs of neighbours in half of the columns, queries, keys
and values may have biases, and gate and hidden layer have one matrix.  The newer kind has norms of
the results of its sublayers too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_neighbours import NeighboursConfig
from weights_import.sources.hugging_face_phi3 import HIDDEN
from weights_import.sources.hugging_face_rope import Share
from weights_import.sources.stored_rows import part as block
from weights_import.tensors import Stored

BEHIND = {
    "self.branch_norm": "post_self_attn_layernorm",
    "ffn.branch_norm": "post_mlp_layernorm",
}


class Config(NeighboursConfig, frozen=True, kw_only=True):
    """The fields of GLM, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    attention_bias: bool = True
    head_dim: HeadSize | None = 128
    partial_rotary_factor: Share = 0.5

    @property
    def biases(self) -> Mapping[str, bool]:
        joined = {f"self_attn.{part}_proj": self.attention_bias for part in "qkv"}
        return joined | {"self_attn.o_proj": False, "mlp": False}

    @property
    def shape(self) -> Shape:
        return replace(super().shape, norms="both" if self.model_type == "glm4" else "before")

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part in HIDDEN:
            return block(tensor, (len(HIDDEN), self.inner), 0, HIDDEN.index(part))
        return super().changed(part, tensor)


PARTS = {**NAMES.parts, **dict.fromkeys(HIDDEN, "mlp.gate_up_proj"), **BEHIND}
FAMILY = Family({"glm": "GLM", "glm4": "GLM 4"}, Config, replace(NAMES, parts=PARTS))
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
