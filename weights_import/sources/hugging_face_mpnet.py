"""MPNet models of Hugging Face's transformers (Song et al. 2020).

They are of RoBERTa's kind, without types of tokens.  Scores of attention have addends by relative
positions, in the buckets of T5, which all layers share.
"""

from __future__ import annotations

from typing import Literal

from weights_import.sources.hugging_face_bert import LAYER, PARTS
from weights_import.sources.hugging_face_encoder import Family, Names
from weights_import.sources.hugging_face_roberta import RobertaConfig
from weights_import.sources.relative_buckets import Buckets

FARTHEST = 128
NAMES = Names(
    body="mpnet.",
    layer=LAYER,
    parts=PARTS
    | {
        "self.query": "attention.attn.q",
        "self.key": "attention.attn.k",
        "self.value": "attention.attn.v",
        "self.output": "attention.attn.o",
        "self.norm": "attention.LayerNorm",
    },
    dense="classifier.dense",
    activation="tanh",
    logits="classifier.out_proj",
)


class MPNetConfig(RobertaConfig, frozen=True, kw_only=True):
    """The fields of MPNet, with the defaults of transformers."""

    relative_attention_num_buckets: Literal[32] = 32

    @property
    def buckets(self) -> Buckets:
        return Buckets(self.relative_attention_num_buckets, FARTHEST, causal=False)


FAMILY = Family({"mpnet": "MPNet"}, MPNetConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
