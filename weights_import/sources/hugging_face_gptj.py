"""GPT-J models of Hugging Face's transformers (Wang and Komatsuzaki 2021).

Attention and hidden layer read one norm, and both results are added to the residual.  Positions
turn pairs of neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from weights_import.sources import rotary_heads
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import HeadSize
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gpt_kind import OpenAiConfig
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.rope_scaling import Rotary
from weights_import.sources.stored_rows import halves
from weights_import.tensors import Stored

BASE = 10000.0
NAMES = Names(
    body="transformer.",
    layer="h.{}.",
    embedding="wte.weight",
    last_norm="ln_f",
    parts={
        "self.norm": "ln_1",
        "self.query": "attn.q_proj",
        "self.key": "attn.k_proj",
        "self.value": "attn.v_proj",
        "self.output": "attn.out_proj",
        "ffn.inner": "mlp.fc_in",
        "ffn.outer": "mlp.fc_out",
    },
    head_bias="lm_head.bias",
)


class GptjConfig(OpenAiConfig, frozen=True, kw_only=True):
    """The fields of GPT-J, with the defaults of transformers."""

    rotary_dim: HeadSize = 64

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"attn": False, "mlp": True}

    @property
    def rotary(self) -> Rotary:
        return Rotary(rotary_heads.frequencies(BASE, self.rotary_dim))

    @property
    def shape(self) -> Shape:
        return replace(super().shape, residual="parallel, one norm")

    def changed(self, part: str, tensor: Stored) -> Stored:
        heads = self.heads
        if part in ("self.query", "self.key"):
            return halves(tensor, heads.count, heads.size, len(heads.rotary))
        return tensor


FAMILY = Family({"gptj": "GPT-J"}, GptjConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
