"""ELECTRA models of Hugging Face's transformers (Clark et al. 2020).

Embedded tokens may be narrower than the model; a matrix widens them.
"""

from __future__ import annotations

from weights_import.sources.hugging_face_bert import LAYER, PARTS
from weights_import.sources.hugging_face_encoder import Family, Names
from weights_import.sources.hugging_face_encoder_config import Config
from weights_import.sources.safetensors_file import Size

NAMES = Names(
    body="electra.",
    layer=LAYER,
    parts=PARTS,
    dense="classifier.dense",
    activation="gelu",
    logits="classifier.out_proj",
)


class ElectraConfig(Config, frozen=True, kw_only=True):
    """The fields of ELECTRA, with the defaults of transformers."""

    embedding_size: Size | None = 128


FAMILY = Family({"electra": "ELECTRA"}, ElectraConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
