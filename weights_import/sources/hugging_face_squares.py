"""Models of Hugging Face's transformers whose hidden layers are squares: Nemotron (Parmar et al.
2024, section 2.1) and Arcee.

The activation is relu(x)^2 (So et al. 2021), which is relu(x) x: a hidden layer with a gate whose
matrix is the matrix of the hidden layer too.  Otherwise they are of Llama's kind.  Nemotron has
layer norms that store their gains less one, and positions turn a part of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Normed
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig
from weights_import.sources.hugging_face_names import NORMS
from weights_import.sources.hugging_face_rope import Share
from weights_import.sources.stored_rows import one_more
from weights_import.tensors import Stored

NEMOTRON = "nemotron"


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of Nemotron and Arcee, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    hidden_act: Literal["relu2"] = "relu2"  # type: ignore[assignment]
    norm_eps: Epsilon = 1e-5
    rms_norm_eps: Epsilon = 1e-5
    partial_rotary_factor: Share | None = None  # type: ignore[assignment]

    @property
    def columns(self) -> int:
        told = self.rope.partial_rotary_factor
        share = self.partial_rotary_factor if told is None else told
        if share is None:
            share = 0.5 if self.model_type == NEMOTRON else 1.0
        return int(self.head_size * share)

    @property
    def activation(self) -> Activation:
        return "relu"

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.norm_eps) if self.model_type == NEMOTRON else super().norm

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attn": self.attention_bias, "mlp": self.mlp_bias}

    def changed(self, part: str, tensor: Stored) -> Stored:
        stored_less = self.model_type == NEMOTRON and part in NORMS and "bias" not in tensor.name
        return one_more(tensor) if stored_less else tensor


PARTS = {**NAMES.parts, "ffn.gate": NAMES.parts["ffn.inner"]}
FAMILY = Family({NEMOTRON: "Nemotron", "arcee": "Arcee"}, Config, replace(NAMES, parts=PARTS))
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
