"""Gemma 2 models of Hugging Face's transformers (Gemma Team 2024b, section 2).

They are as Gemma, with norms before and behind the sublayers, windows in every second layer, and
soft caps of the scores and of the logits.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, ClassVar

import msgspec

from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import ACTIVATIONS, Factor, HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gemma import GemmaConfig
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_names import BRANCH_NORMS
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import scaled
from weights_import.tensors import Stored

Cap = Annotated[float, msgspec.Meta(ge=2**-6, le=2**16)]
GEMMA2_NAMES = replace(
    NAMES, parts={**NAMES.parts, "ffn.norm": "pre_feedforward_layernorm", **BRANCH_NORMS}
)


class Gemma2Config(GemmaConfig, frozen=True, kw_only=True):
    """The fields of Gemma 2, with the defaults of transformers."""

    nullable: ClassVar[tuple[str, ...]] = ("attn_logit_softcapping", "final_logit_softcapping")
    attn_logit_softcapping: Cap | None = 50.0
    final_logit_softcapping: Cap | None = 30.0
    head_dim: HeadSize | None = 256
    query_pre_attn_scalar: Factor = 256.0
    sliding_window: Size | None = 4096

    def slides(self, layer: int) -> bool:
        return layer % 2 == 0

    @property
    def shape(self) -> Shape:
        return replace(
            super().shape,
            activation=ACTIVATIONS[self.hidden_activation or "gelu_pytorch_tanh"],
            norms="both",
            score_cap=self.attn_logit_softcapping or 0.0,
            logit_cap=self.final_logit_softcapping or 0.0,
        )

    @property
    def score_factor(self) -> float:
        """The factor of the queries, whose scores are divided by the root of the size of a head."""
        return math.sqrt(self.head_size / self.query_pre_attn_scalar)

    def changed(self, part: str, tensor: Stored) -> Stored:
        found = super().changed(part, tensor)
        return scaled(found, self.score_factor) if part == "self.query" else found


FAMILY = Family({"gemma2": "Gemma 2"}, Gemma2Config, GEMMA2_NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
