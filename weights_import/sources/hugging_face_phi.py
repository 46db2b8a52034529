"""Phi-1, Phi-1.5 and Phi-2 models of Hugging Face's transformers (Li et al. 2023, section 2.3).

Attention and hidden layer read one norm, and both results are added to the residual.  Positions
turn half of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from weights_import.composer import Normed
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon, Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import RotaryConfig, Share

OWN = {
    "self.output": "self_attn.dense",
    "ffn.inner": "mlp.fc1",
    "ffn.outer": "mlp.fc2",
}


class PhiConfig(RotaryConfig, frozen=True, kw_only=True):
    """The fields of Phi, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    hidden_act: Function = "gelu_new"
    layer_norm_eps: Epsilon = 1e-5
    partial_rotary_factor: Share = 0.5
    qk_layernorm: Literal[False] = False

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_eps)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attn": True, "mlp": True}

    @property
    def shape(self) -> Shape:
        return replace(super().shape, gated=False, residual="parallel, one norm")


PHI_NAMES = replace(
    NAMES, parts={**NAMES.parts, **OWN}, last_norm="final_layernorm", head_bias="lm_head.bias"
)
FAMILY = Family({"phi": "Phi"}, PhiConfig, PHI_NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
