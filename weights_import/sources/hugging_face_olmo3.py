"""OLMo 3 models of Hugging Face's transformers (OLMo Team 2025).

They are as OLMo 2.  Three of four layers see a window, and the positions of the other layers may be
scaled for longer texts.
"""

from __future__ import annotations

from dataclasses import replace

from weights_import.operations.heads import Heads
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_olmo2 import FAMILY as OLMO2
from weights_import.sources.hugging_face_rope import Base
from weights_import.sources.hugging_face_sliding import SlidingConfig
from weights_import.sources.hugging_face_two_ropes import Ropes, TwoRopes
from weights_import.sources.safetensors_file import Size

PATTERN = 4


class Config(TwoRopes, SlidingConfig, frozen=True, kw_only=True):
    """The fields of OLMo 3, with the defaults of transformers."""

    rms_norm_eps: Epsilon = 1e-5
    rope_parameters: Ropes = Ropes()
    rope_theta: Base = 500000.0
    sliding_window: Size | None = 4096

    def slides(self, layer: int) -> bool:
        return (layer + 1) % PATTERN != 0

    @property
    def heads(self) -> Heads:
        return replace(super().heads, norms="row")

    @property
    def shape(self) -> Shape:
        return replace(super().shape, norms="behind")


FAMILY = Family({"olmo3": "OLMo 3"}, Config, OLMO2.names)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
