"""Qwen2 and Qwen2.5 models of Hugging Face's transformers (Yang et al. 2024, section 2.2.1).

They are of Llama's kind, with biases for queries, keys and values alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_sliding import SlidingConfig
from weights_import.sources.safetensors_file import Size

BIASES = {
    "self_attn.q_proj": True,
    "self_attn.k_proj": True,
    "self_attn.v_proj": True,
    "self_attn.o_proj": False,
    "mlp": False,
}


class Config(SlidingConfig, frozen=True, kw_only=True):
    """The fields of Qwen2, with the defaults of transformers."""

    max_window_layers: int = 28
    sliding_window: Size | None = 4096
    use_sliding_window: bool = False

    @property
    def biases(self) -> Mapping[str, bool]:
        return BIASES

    def slides(self, layer: int) -> bool:
        return layer >= self.max_window_layers

    def is_sliding(self, layer: int) -> bool:
        return self.use_sliding_window and super().is_sliding(layer)


FAMILY = Family({"qwen2": "Qwen2"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
