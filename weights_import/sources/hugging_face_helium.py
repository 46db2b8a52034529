"""Helium models of Hugging Face's transformers (Kyutai 2025).

They are of Llama's kind, and positions turn pairs of neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping

from weights_import.sources.hugging_face_decoder_config import Epsilon, HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_neighbours import NeighboursConfig
from weights_import.sources.hugging_face_rope import Base


class Config(NeighboursConfig, frozen=True, kw_only=True):
    """The fields of Helium, with the defaults of transformers."""

    head_dim: HeadSize | None = 128
    rms_norm_eps: Epsilon = 1e-8
    rope_theta: Base = 100000.0

    @property
    def biases(self) -> Mapping[str, bool]:
        joined = {f"self_attn.{part}_proj": self.attention_bias for part in "qkv"}
        return joined | {"self_attn.o_proj": False, "mlp": self.mlp_bias}


FAMILY = Family({"helium": "Helium"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
