"""StarCoder2 models of Hugging Face's transformers (Lozhkov et al. 2024, section 6.1).

They are of Llama's kind, with layer norms, and without gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from weights_import.composer import Normed
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon, Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import RotaryConfig
from weights_import.sources.safetensors_file import Size

OWN = {"ffn.inner": "mlp.c_fc", "ffn.outer": "mlp.c_proj"}


class Starcoder2Config(RotaryConfig, frozen=True, kw_only=True):
    """The fields of StarCoder2, with the defaults of transformers."""

    hidden_act: Function = "gelu_pytorch_tanh"
    norm_epsilon: Epsilon = 1e-5
    sliding_window: Size | None = None
    tie_word_embeddings: bool = True
    use_bias: bool = True

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.norm_epsilon)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attn": self.use_bias, "mlp": self.use_bias}

    def window_of(self, layer: int) -> int:
        return self.sliding_window or 0

    @property
    def shape(self) -> Shape:
        return replace(super().shape, gated=False)


STARCODER_NAMES = replace(NAMES, parts={**NAMES.parts, **OWN})
FAMILY = Family({"starcoder2": "StarCoder2"}, Starcoder2Config, STARCODER_NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
