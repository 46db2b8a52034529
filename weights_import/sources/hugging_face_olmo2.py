"""OLMo 2 models of Hugging Face's transformers (OLMo Team 2024, section 3.2).

They are of Llama's kind.  Norms stand behind the sublayers, and the rows of queries and keys have
norms too.
"""

from __future__ import annotations

from dataclasses import replace

from weights_import.operations.heads import Heads
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES, LlamaConfig
from weights_import.sources.hugging_face_names import BRANCH_NORMS, HEAD_NORMS

PARTS = {name: there for name, there in NAMES.parts.items() if not name.endswith(".norm")}


class Config(LlamaConfig, frozen=True, kw_only=True):
    """The fields of OLMo 2, with the defaults of transformers."""

    rms_norm_eps: Epsilon = 1e-5

    @property
    def heads(self) -> Heads:
        return replace(super().heads, norms="row")

    @property
    def shape(self) -> Shape:
        return replace(super().shape, norms="behind")


FAMILY = Family(
    {"olmo2": "OLMo 2"}, Config, replace(NAMES, parts=PARTS | BRANCH_NORMS | HEAD_NORMS)
)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
