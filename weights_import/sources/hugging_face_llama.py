"""Llama and Mistral models of Hugging Face's transformers (Touvron et al. 2023, Jiang et al. 2023).

SmolLM, SmolLM2, Mistral-Nemo and many others have the same form, and say that they are Llama.
"""

from __future__ import annotations

from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig
from weights_import.sources.safetensors_file import Size


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of Llama and Mistral."""

    sliding_window: Size | None = None

    def window_of(self, layer: int) -> int:
        return self.sliding_window or 0


FAMILY = Family({"llama": "Llama", "mistral": "Mistral"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
