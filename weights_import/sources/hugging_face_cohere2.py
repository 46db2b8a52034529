"""Command models of Cohere in Hugging Face's transformers, the kind cohere2.

They are as Cohere.  Three of four layers see a window, and positions turn queries and keys in these
layers alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from weights_import.operations.heads import Heads
from weights_import.sources.hugging_face_cohere import CohereConfig
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import Base
from weights_import.sources.safetensors_file import Size


class Config(CohereConfig, frozen=True, kw_only=True):
    """The fields of Cohere 2, with the defaults of transformers."""

    rope_theta: Base = 10000.0
    sliding_window: Size | None = 4096
    sliding_window_pattern: Annotated[int, msgspec.Meta(ge=1)] = 4
    use_qk_norm: Literal[False] = False

    def slides(self, layer: int) -> bool:
        return (layer + 1) % self.sliding_window_pattern != 0

    def heads_of(self, heads: Heads, layer: int) -> Heads:
        found = super().heads_of(heads, layer)
        return found if self.is_sliding(layer) else replace(found, rotary=())


FAMILY = Family({"cohere2": "Cohere 2"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
