"""XGLM models of Hugging Face's transformers (Lin et al. 2022, section 2).

They are of OPT's kind.  Positions are sinusoids, the first of which is number 2, and no file has
them.  A text begins with the token that ends texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from msgspec import Meta, field

from weights_import.composer import Normed
from weights_import.operations.embedding import sinusoids
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_config import Id
from weights_import.sources.hugging_face_decoder_config import Config, Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_opt import EPSILON
from weights_import.sources.hugging_face_opt import NAMES as OPT_NAMES
from weights_import.sources.lookup import Own
from weights_import.sources.safetensors_file import Size
from weights_import.tensors import Stored

FIRST_POSITION = 2


class XglmConfig(Config, frozen=True, kw_only=True):
    """The fields of XGLM, with the defaults of transformers."""

    bos_token_id: Id | None = field(default=2, name="decoder_start_token_id")
    hidden_act: Function = field(default="gelu", name="activation_function")
    hidden_size: Size = field(name="d_model")
    intermediate_size: Size | None = field(name="ffn_dim")
    max_position_embeddings: Annotated[int, Meta(ge=1, le=1 << 14)] = 2048
    num_attention_heads: Size = field(name="attention_heads")
    num_hidden_layers: Layers = field(name="num_layers")
    scale_embedding: bool = True
    tie_word_embeddings: bool = True

    @property
    def norm(self) -> Normed:
        return Normed("l2", EPSILON)

    @property
    def biases(self) -> Mapping[str, bool]:
        return dict.fromkeys(("self_attn", "fc1", "fc2"), True)

    def widened(self, words: Mapping[str, Own], found: Mapping[str, Stored]) -> dict[str, Own]:
        table = sinusoids(FIRST_POSITION, self.max_position_embeddings, self.hidden_size)
        return {**words, "positions": Stored.of(table, "positions")}

    @property
    def shape(self) -> Shape:
        return replace(
            super().shape,
            gated=False,
            embedding_scale=math.sqrt(self.hidden_size) if self.scale_embedding else 1.0,
            positions=self.max_position_embeddings,
        )


NAMES = replace(OPT_NAMES, body="model.", last_norm="layer_norm", positions="", widening=())
FAMILY = Family({"xglm": "XGLM"}, XglmConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
