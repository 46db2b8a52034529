"""RoBERTa models of Hugging Face's transformers (Liu et al. 2019).

XLM-RoBERTa (Conneau et al. 2020) and CamemBERT are of this kind too.

The first rows of the table of positions are not used: the position of the first token is the
number of the padding plus one.
"""

from __future__ import annotations

from weights_import.sources.hugging_face_bert import LAYER, PARTS
from weights_import.sources.hugging_face_config import Id
from weights_import.sources.hugging_face_encoder import Family, Names
from weights_import.sources.hugging_face_encoder_config import Config

NAMES = Names(
    body="roberta.",
    layer=LAYER,
    parts=PARTS,
    dense="classifier.dense",
    activation="tanh",
    logits="classifier.out_proj",
)
TITLES = {"roberta": "RoBERTa", "xlm-roberta": "XLM-RoBERTa", "camembert": "CamemBERT"}


class RobertaConfig(Config, frozen=True, kw_only=True):
    """The fields of RoBERTa, with the defaults of transformers."""

    bos_token_id: Id | None = 0
    eos_token_id: Id | None = 2
    pad_token_id: Id = 1

    @property
    def unused_positions(self) -> int:
        return self.pad_token_id + 1


FAMILY = Family(TITLES, RobertaConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
