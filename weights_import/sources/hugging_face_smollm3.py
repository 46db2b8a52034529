"""SmolLM3 models of Hugging Face's transformers.

They are of Llama's kind.  In some layers, mostly every fourth one, positions do not turn queries
and keys (Yang et al. 2025, RNoPE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import msgspec

from weights_import.errors import CheckpointError
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig
from weights_import.sources.hugging_face_rope import Base
from weights_import.sources.safetensors_file import Size


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of SmolLM3, with the defaults of transformers."""

    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None
    no_rope_layer_interval: Annotated[int, msgspec.Meta(ge=1)] = 4
    no_rope_layers: list[Literal[0, 1]] | None = None
    rms_norm_eps: Epsilon = 1e-6
    rope_theta: Base = 2000000.0
    sliding_window: Size | None = None
    tie_word_embeddings: bool = True
    use_sliding_window: bool = False

    @property
    def window(self) -> int | None:
        return self.sliding_window if self.use_sliding_window else None

    @property
    def shape(self) -> Shape:
        layers, every = range(self.num_hidden_layers), self.no_rope_layer_interval
        turned: Sequence[int] = self.no_rope_layers or [(i + 1) % every for i in layers]
        if len(turned) < len(layers):
            raise CheckpointError(f"no_rope_layers lists {len(turned)} of {len(layers)} layers")
        return replace(super().shape, unturned=frozenset(i for i in layers if not turned[i]))


FAMILY = Family({"smollm3": "SmolLM3"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
