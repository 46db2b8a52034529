"""BERT models of Hugging Face's transformers (Devlin et al. 2019), MiniLM and E5 among them."""

from __future__ import annotations

from weights_import.sources.hugging_face_encoder import Family, Names
from weights_import.sources.hugging_face_encoder_config import Config

PARTS = {
    "self.query": "attention.self.query",
    "self.key": "attention.self.key",
    "self.value": "attention.self.value",
    "self.output": "attention.output.dense",
    "self.norm": "attention.output.LayerNorm",
    "ffn.inner": "intermediate.dense",
    "ffn.outer": "output.dense",
    "ffn.norm": "output.LayerNorm",
}
LAYER = "encoder.layer.{}."
NAMES = Names(
    body="bert.",
    layer=LAYER,
    parts=PARTS,
    dense="{body}pooler.dense",
    activation="tanh",
    logits="classifier",
)
FAMILY = Family({"bert": "BERT"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
