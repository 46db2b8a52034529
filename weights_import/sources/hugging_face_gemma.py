"""Gemma models of Hugging Face's transformers (Gemma Team 2024, section 2).

They are of Llama's kind.  The rows of the embedding are multiplied by the root of their width.  A
norm stores its gain less one.  Gates are GELU by tanh, whatever older configurations say.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_names import NORMS
from weights_import.sources.hugging_face_sliding import SlidingConfig
from weights_import.sources.stored_rows import one_more
from weights_import.tensors import Stored

Gelu = Literal["gelu", "gelu_new", "gelu_pytorch_tanh"]


class GemmaConfig(SlidingConfig, frozen=True, kw_only=True):
    """The fields of Gemma, with the defaults of transformers."""

    hidden_act: Function = "gelu_pytorch_tanh"
    hidden_activation: Gelu | None = None
    tie_word_embeddings: bool = True
    use_bidirectional_attention: Literal[False] = False

    @property
    def shape(self) -> Shape:
        scale = math.sqrt(self.hidden_size)
        return replace(super().shape, activation="gelu_tanh", embedding_scale=scale)

    def changed(self, part: str, tensor: Stored) -> Stored:
        return one_more(tensor) if part in NORMS else tensor


FAMILY = Family({"gemma": "Gemma"}, GemmaConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
