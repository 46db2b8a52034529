"""StableLM models of Hugging Face's transformers (Bellagente et al. 2024, section 3).

They are of Llama's kind, with layer norms, and positions turn a quarter of the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Literal

from weights_import.composer import Normed
from weights_import.sources.decoder_only import Residual, Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import RotaryConfig, Share
from weights_import.sources.safetensors_file import Size


class Config(RotaryConfig, frozen=True, kw_only=True):
    """The fields of StableLM, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    intermediate_size: Size
    layer_norm_eps: Epsilon = 1e-5
    partial_rotary_factor: Share = 0.25
    qk_layernorm: Literal[False] = False
    use_parallel_residual: bool = False
    use_qkv_bias: bool = False

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_eps)

    @property
    def biases(self) -> Mapping[str, bool]:
        joined = {f"self_attn.{part}_proj": self.use_qkv_bias for part in "qkv"}
        return joined | {"self_attn.o_proj": False, "mlp": False}

    @property
    def shape(self) -> Shape:
        residual: Residual = "parallel, one norm" if self.use_parallel_residual else "in turn"
        return replace(super().shape, residual=residual)


FAMILY = Family({"stablelm": "StableLM"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
