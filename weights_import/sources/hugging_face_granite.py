"""Granite models of Hugging Face's transformers (Granite Team 2024).

They are of Llama's kind, with multipliers of the embedding, the scores, the branches and the
logits.  The last one divides the gain of the last norm, because the matrix of the logits may be the
embedding.
"""

from __future__ import annotations

import math
from dataclasses import replace

from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Factor
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig
from weights_import.sources.stored_rows import scaled
from weights_import.tensors import Stored


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of Granite, with the defaults of transformers."""

    attention_multiplier: Factor = 1.0
    embedding_multiplier: Factor = 1.0
    logits_scaling: Factor = 1.0
    residual_multiplier: Factor = 1.0

    @property
    def shape(self) -> Shape:
        return replace(super().shape, embedding_scale=self.embedding_multiplier)

    def changed(self, part: str, tensor: Stored) -> Stored:
        factors = {
            "self.query": self.attention_multiplier * math.sqrt(self.head_size),
            "self.output": self.residual_multiplier,
            "ffn.outer": self.residual_multiplier,
            "norm": 1 / self.logits_scaling,
        }
        return scaled(tensor, factors.get(part, 1.0))


FAMILY = Family({"granite": "Granite"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
