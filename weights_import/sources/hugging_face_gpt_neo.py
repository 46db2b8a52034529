"""GPT-Neo models of Hugging Face's transformers (Black et al. 2021).

They are of GPT-2's kind.  Scores are not divided by the root of the size of a head, so queries are
multiplied by it.  Some layers see a window alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from msgspec import Meta, field

from weights_import.errors import CheckpointError
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gpt_kind import GptConfig
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import scaled
from weights_import.tensors import Stored

Times = Annotated[int, Meta(ge=0, le=1 << 10)]
Reach = Literal["global", "local"]
UNBIASED = ("q_proj", "k_proj", "v_proj")
NAMES = Names(
    body="transformer.",
    layer="h.{}.",
    embedding="wte.weight",
    positions="wpe.weight",
    last_norm="ln_f",
    parts={
        "self.norm": "ln_1",
        "self.query": "attn.attention.q_proj",
        "self.key": "attn.attention.k_proj",
        "self.value": "attn.attention.v_proj",
        "self.output": "attn.attention.out_proj",
        "ffn.norm": "ln_2",
        "ffn.inner": "mlp.c_fc",
        "ffn.outer": "mlp.c_proj",
    },
)


class GptNeoConfig(GptConfig, frozen=True, kw_only=True):
    """The fields of GPT-Neo, with the defaults of transformers.

    `attention_types` lists the reaches of layers, and how often each list is repeated.
    """

    attention_types: tuple[tuple[tuple[Reach, ...], Times], ...] = ((("global", "local"), 12),)
    num_attention_heads: Size = field(name="num_heads")
    num_hidden_layers: Layers = field(name="num_layers")
    tie_word_embeddings: bool = True
    window_size: Size = 256

    @property
    def biases(self) -> Mapping[str, bool]:
        return dict.fromkeys(UNBIASED, False) | {"out_proj": True, "mlp": True}

    def window_of(self, layer: int) -> int:
        for reaches, times in self.attention_types:
            if layer < len(reaches) * times:
                return self.window_size if reaches[layer % len(reaches)] == "local" else 0
            layer -= len(reaches) * times
        raise CheckpointError("attention_types lists fewer layers than the model has")

    @property
    def shape(self) -> Shape:
        return replace(super().shape, positions=self.max_position_embeddings)

    def changed(self, part: str, tensor: Stored) -> Stored:
        return scaled(tensor, math.sqrt(self.head_size)) if part == "self.query" else tensor


FAMILY = Family({"gpt_neo": "GPT-Neo"}, GptNeoConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
