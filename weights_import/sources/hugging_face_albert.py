"""ALBERT models of Hugging Face's transformers (Lan et al. 2020).

All layers have the same tensors.  Embedded tokens are narrower than the model; a matrix widens
them.
"""

from __future__ import annotations

from typing import Literal

from weights_import.sources.hugging_face_decoder_config import Function
from weights_import.sources.hugging_face_encoder import Family, Names
from weights_import.sources.hugging_face_encoder_config import Config
from weights_import.sources.safetensors_file import Size

NAMES = Names(
    body="albert.",
    layer="encoder.albert_layer_groups.0.albert_layers.0.",
    parts={
        "self.query": "attention.query",
        "self.key": "attention.key",
        "self.value": "attention.value",
        "self.output": "attention.dense",
        "self.norm": "attention.LayerNorm",
        "ffn.inner": "ffn",
        "ffn.outer": "ffn_output",
        "ffn.norm": "full_layer_layer_norm",
    },
    dense="{body}pooler",
    activation="tanh",
    logits="classifier",
    projection="encoder.embedding_hidden_mapping_in",
)


class AlbertConfig(Config, frozen=True, kw_only=True):
    """The fields of ALBERT, with the defaults of transformers.

    No published model has several groups of layers.
    """

    embedding_size: Size | None = 128
    hidden_act: Function = "gelu_new"
    inner_group_num: Literal[1] = 1
    num_hidden_groups: Literal[1] = 1


FAMILY = Family({"albert": "ALBERT"}, AlbertConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
