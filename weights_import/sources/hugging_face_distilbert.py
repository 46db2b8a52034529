"""DistilBERT models of Hugging Face's transformers (Sanh et al. 2019)."""

from __future__ import annotations

from msgspec import field

from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_decoder_config import Function
from weights_import.sources.hugging_face_encoder import Family, Names
from weights_import.sources.hugging_face_encoder_config import Config
from weights_import.sources.safetensors_file import Size

NAMES = Names(
    body="distilbert.",
    layer="transformer.layer.{}.",
    parts={
        "self.query": "attention.q_lin",
        "self.key": "attention.k_lin",
        "self.value": "attention.v_lin",
        "self.output": "attention.out_lin",
        "self.norm": "sa_layer_norm",
        "ffn.inner": "ffn.lin1",
        "ffn.outer": "ffn.lin2",
        "ffn.norm": "output_layer_norm",
    },
    dense="pre_classifier",
    activation="relu",
    logits="classifier",
)


class DistilBertConfig(Config, frozen=True, kw_only=True):
    """The fields of DistilBERT, with the defaults of transformers."""

    hidden_act: Function = field(default="gelu", name="activation")
    hidden_size: Size = field(default=768, name="dim")
    intermediate_size: Size = field(default=3072, name="hidden_dim")
    max_position_embeddings: Size = 512
    num_attention_heads: Size = field(default=12, name="n_heads")
    num_hidden_layers: Layers = field(default=6, name="n_layers")


FAMILY = Family({"distilbert": "DistilBERT"}, DistilBertConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
