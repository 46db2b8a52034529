"""Gemma 3 models of Hugging Face's transformers that read and write text alone (Gemma Team 2025,
section 2).

They are as Gemma 2, with norms of the heads of queries and keys in the place of soft caps.  Five of
six layers see a window, and the positions of these layers have frequencies of their own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from weights_import.operations.heads import Heads
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gemma2 import GEMMA2_NAMES, Cap, Gemma2Config
from weights_import.sources.hugging_face_names import HEAD_NORMS
from weights_import.sources.hugging_face_rope import Base
from weights_import.sources.hugging_face_two_ropes import Ropes, TwoRopes
from weights_import.sources.stored_rows import scaled
from weights_import.tensors import Stored


class Config(TwoRopes, Gemma2Config, frozen=True, kw_only=True):
    """The fields of Gemma 3, with the defaults of transformers."""

    attn_logit_softcapping: Literal[None] = None
    final_logit_softcapping: Cap | None = None
    rope_local_base_freq: Base = 10000.0
    rope_parameters: Ropes = Ropes()
    rope_theta: Base = 1000000.0
    sliding_window_pattern: Annotated[int, msgspec.Meta(ge=1)] = 6

    def slides(self, layer: int) -> bool:
        return (layer + 1) % self.sliding_window_pattern != 0

    @property
    def local_base(self) -> float:
        return self.rope_local_base_freq

    @property
    def heads(self) -> Heads:
        return replace(super().heads, norms="head")

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part == "self.query":
            return tensor
        found = super().changed(part, tensor)
        return scaled(found, self.score_factor) if part == "self.query_norm" else found


FAMILY = Family(
    {"gemma3_text": "Gemma 3"},
    Config,
    replace(GEMMA2_NAMES, parts={**GEMMA2_NAMES.parts, **HEAD_NORMS}),
)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
