"""ERNIE 4.5 models of Hugging Face's transformers without experts (Baidu 2025).

They are of Llama's kind, and positions turn pairs of neighbours.  All products have biases, or
none.
"""

from __future__ import annotations

from collections.abc import Mapping

from weights_import.sources.hugging_face_decoder_config import Epsilon, HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_neighbours import NeighboursConfig
from weights_import.sources.hugging_face_rope import Base


class Config(NeighboursConfig, frozen=True, kw_only=True):
    """The fields of ERNIE 4.5, with the defaults of transformers."""

    head_dim: HeadSize | None = 128
    rms_norm_eps: Epsilon = 1e-5
    rope_theta: Base = 500000.0
    tie_word_embeddings: bool = True
    use_bias: bool = False

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attn": self.use_bias, "mlp": self.use_bias}


FAMILY = Family({"ernie4_5": "ERNIE 4.5"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
