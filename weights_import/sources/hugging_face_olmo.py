"""OLMo models of Hugging Face's transformers (Groeneveld et al. 2024, section 2.1).

They are of Llama's kind, with layer norms that have neither gains nor biases.
"""

from __future__ import annotations

from typing import Literal

from weights_import.composer import Normed
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig

EPSILON = 1e-5


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of OLMo, with the defaults of transformers."""

    clip_qkv: Literal[None] = None
    mlp_bias: Literal[False] = False
    rms_norm_eps: Epsilon = EPSILON

    @property
    def norm(self) -> Normed:
        return Normed("l2", EPSILON, bias=False)

    @property
    def has_gains(self) -> bool:
        return False


FAMILY = Family({"olmo": "OLMo"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
