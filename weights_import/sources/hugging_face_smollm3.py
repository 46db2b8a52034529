"""SmolLM3 models of Hugging Face's transformers.

They are of Llama's kind.  In some layers, mostly every fourth one, positions do not turn queries
and keys (Yang et al. 2025, RNoPE).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import Base
from weights_import.sources.hugging_face_sliding import SlidingConfig


class Config(SlidingConfig, frozen=True, kw_only=True):
    """The fields of SmolLM3, with the defaults of transformers."""

    no_rope_layer_interval: Annotated[int, msgspec.Meta(ge=1)] = 4
    no_rope_layers: list[Literal[0, 1]] | None = None
    rms_norm_eps: Epsilon = 1e-6
    rope_theta: Base = 2000000.0
    tie_word_embeddings: bool = True
    use_sliding_window: bool = False

    def turns(self, layer: int) -> bool:
        """Whether positions turn the queries and keys of a layer; raises CheckpointError."""
        listed, layers = self.no_rope_layers, self.num_hidden_layers
        if not listed:
            return (layer + 1) % self.no_rope_layer_interval != 0
        if len(listed) < layers:
            raise CheckpointError(f"no_rope_layers lists {len(listed)} of {layers} layers")
        return bool(listed[layer])

    def slides(self, layer: int) -> bool:
        return not self.turns(layer)

    def is_sliding(self, layer: int) -> bool:
        return self.use_sliding_window and super().is_sliding(layer)

    def heads_of(self, heads: Heads, layer: int) -> Heads:
        found = super().heads_of(heads, layer)
        return found if self.turns(layer) else replace(found, rotary=())


FAMILY = Family({"smollm3": "SmolLM3"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
