"""Seed-OSS models of Hugging Face's transformers, the kind seed_oss.

They are of Llama's kind, mostly with biases for queries, keys and values alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from weights_import.sources.hugging_face_decoder_config import Epsilon, HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of Seed-OSS, with the defaults of transformers."""

    attention_bias: bool = True
    attention_out_bias: bool = False
    head_dim: HeadSize | None = 128
    rms_norm_eps: Epsilon = 1e-6

    @property
    def biases(self) -> Mapping[str, bool]:
        joined = {f"self_attn.{part}_proj": self.attention_bias for part in "qkv"}
        return joined | {"self_attn.o_proj": self.attention_out_bias, "mlp": self.mlp_bias}


FAMILY = Family({"seed_oss": "Seed-OSS"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
