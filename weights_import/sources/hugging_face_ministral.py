"""Ministral models of Hugging Face's transformers, the kind ministral.

They are as Mistral, and a list tells which layers see a window.
"""

from __future__ import annotations

from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_sliding import SlidingConfig
from weights_import.sources.safetensors_file import Size


class Config(SlidingConfig, frozen=True, kw_only=True):
    """The fields of Ministral, with the defaults of transformers."""

    rms_norm_eps: Epsilon = 1e-6
    sliding_window: Size | None = 4096

    def slides(self, layer: int) -> bool:
        return True


FAMILY = Family({"ministral": "Ministral"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
