"""Models of Llama's kind in Hugging Face's transformers with layers that see a window of tokens.

A list `layer_types` names the kind of each layer.  Without the list, each kind of model has a rule.
"""

from __future__ import annotations

from typing import Literal

from weights_import.errors import CheckpointError
from weights_import.sources.hugging_face_llama_kind import LlamaConfig
from weights_import.sources.safetensors_file import Size

LayerType = Literal["full_attention", "sliding_attention"]


class SlidingConfig(LlamaConfig, frozen=True, kw_only=True):
    """The fields of windows."""

    layer_types: list[LayerType] | None = None
    sliding_window: Size | None = None

    def slides(self, layer: int) -> bool:
        """Whether a layer sees a window, if no list tells it."""
        return False

    def is_sliding(self, layer: int) -> bool:
        """Whether a layer sees a window; raises CheckpointError for a list that is too short."""
        if self.layer_types is None:
            return self.slides(layer)
        if len(self.layer_types) < self.num_hidden_layers:
            raise CheckpointError(
                f"layer_types lists {len(self.layer_types)} of {self.num_hidden_layers} layers"
            )
        return self.layer_types[layer] == "sliding_attention"

    def window_of(self, layer: int) -> int:
        return (self.sliding_window or 0) if self.is_sliding(layer) else 0
