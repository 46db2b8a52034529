"""Qwen2 and Qwen2.5 models of Hugging Face's transformers (Yang et al. 2024, section 2.2.1): a
safetensors and `config.json`.

They are of Llama's kind, with biases for queries, keys and values alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.sources.hugging_face_config import model_type, read_config
from weights_import.sources.hugging_face_decoder import companions as companions
from weights_import.sources.hugging_face_llama_kind import LAYER, Config, read_kind
from weights_import.sources.safetensors_file import Size, contents

FORMAT = "Hugging Face Qwen2 or Qwen2.5 (.safetensors and config.json)"
KINDS = ("qwen2",)
SLIDING = "sliding_attention"
BIASES = {
    "self_attn.q_proj": True,
    "self_attn.k_proj": True,
    "self_attn.v_proj": True,
    "self_attn.o_proj": False,
    "mlp": False,
}


class _Config(Config, frozen=True, kw_only=True):
    """The fields of a configuration of Qwen2, with the defaults of transformers."""

    model_type: Literal["qwen2"]
    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None
    max_window_layers: int = 28
    sliding_window: Size = 4096
    use_sliding_window: bool = False

    @property
    def biases(self) -> dict[str, bool]:
        return BIASES

    @property
    def positions(self) -> int:
        """The positions of the model; raises CheckpointError where a window is shorter."""
        if self.slides and self.sliding_window < self.max_position_embeddings:
            raise CheckpointError(
                f"sliding_window={self.sliding_window} is shorter than"
                f" max_position_embeddings={self.max_position_embeddings}, and attention that"
                " slides is not read"
            )
        return self.max_position_embeddings

    @property
    def slides(self) -> bool:
        """Whether a layer sees the tokens of a window alone."""
        if not self.use_sliding_window:
            return False
        if self.layer_types is not None:
            return SLIDING in self.layer_types
        return self.max_window_layers < self.num_hidden_layers


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        return read_kind(path, read_config(path, _Config), contents(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
