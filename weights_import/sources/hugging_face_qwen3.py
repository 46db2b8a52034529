"""Qwen3 models of Hugging Face's transformers (Qwen Team 2025, section 2).

They are of Llama's kind.  Every head of queries and keys has a norm, and no product has a bias
unless the configuration says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from weights_import.operations.heads import Heads
from weights_import.sources.hugging_face_decoder_config import HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_names import HEAD_NORMS
from weights_import.sources.hugging_face_qwen2 import Config as Qwen2Config


class Config(Qwen2Config, frozen=True, kw_only=True):
    """The fields of Qwen3, with the defaults of transformers."""

    head_dim: HeadSize | None = 128

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attn": self.attention_bias, "mlp": False}

    @property
    def heads(self) -> Heads:
        return replace(super().heads, norms="head")


FAMILY = Family({"qwen3": "Qwen3"}, Config, replace(NAMES, parts={**NAMES.parts, **HEAD_NORMS}))
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
