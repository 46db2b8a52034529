"""Llama and Mistral models of Hugging Face's transformers (Touvron et al. 2023, Jiang et al. 2023):
a safetensors, `config.json` and, for texts, the SentencePiece model `tokenizer.model` beside it.

A window that slides limits the positions, because within it, sliding attention is attention.
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

FORMAT = "Hugging Face Llama or Mistral (.safetensors and config.json)"
KINDS = ("llama", "mistral")


class _Config(Config, frozen=True, kw_only=True):
    """What is read of a configuration of Llama or Mistral."""

    model_type: Literal["llama", "mistral"]
    attention_bias: bool = False
    mlp_bias: bool = False
    sliding_window: Size | None = None

    @property
    def positions(self) -> int:
        most = self.max_position_embeddings
        return min(most, self.sliding_window or most)

    @property
    def biases(self) -> dict[str, bool]:
        return {"self_attn": self.attention_bias, "mlp": self.mlp_bias}


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        return read_kind(path, read_config(path, _Config), contents(path))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
