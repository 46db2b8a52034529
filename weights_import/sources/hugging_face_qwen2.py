"""Qwen2 and Qwen2.5 models of Hugging Face's transformers (Yang et al. 2024, section 2.2.1).

They are of Llama's kind, with biases for queries, keys and values alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from weights_import.errors import CheckpointError
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig
from weights_import.sources.safetensors_file import Size

SLIDING = "sliding_attention"
BIASES = {
    "self_attn.q_proj": True,
    "self_attn.k_proj": True,
    "self_attn.v_proj": True,
    "self_attn.o_proj": False,
    "mlp": False,
}


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of Qwen2, with the defaults of transformers."""

    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None
    max_window_layers: int = 28
    sliding_window: Size = 4096
    use_sliding_window: bool = False

    @property
    def biases(self) -> Mapping[str, bool]:
        return BIASES

    @property
    def window(self) -> int | None:
        """The window; raises CheckpointError where it is shorter than the positions."""
        if self.slides and self.sliding_window < self.max_position_embeddings:
            raise CheckpointError(
                f"sliding_window={self.sliding_window} is shorter than"
                f" max_position_embeddings={self.max_position_embeddings}, and attention that"
                " slides is not read"
            )
        return None

    @property
    def slides(self) -> bool:
        """Whether a layer sees the tokens of a window alone."""
        if not self.use_sliding_window:
            return False
        if self.layer_types is not None:
            return SLIDING in self.layer_types
        return self.max_window_layers < self.num_hidden_layers


FAMILY = Family({"qwen2": "Qwen2"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
