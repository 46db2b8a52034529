"""CodeGen models of Hugging Face's transformers (Nijkamp et al. 2023, section 2.2).

They are of GPT-J's kind.  One matrix has the queries, values and keys of each quarter of the heads,
because the models were trained in four parts.
"""

from __future__ import annotations

from dataclasses import replace

from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gptj import NAMES, GptjConfig
from weights_import.sources.stored_rows import part as block
from weights_import.tensors import Stored

TRAINED_IN = 4
JOINED = ("self.query", "self.value", "self.key")
"""The parts of the matrix, in its order."""


class Config(GptjConfig, frozen=True, kw_only=True):
    """The fields of CodeGen, with the defaults of transformers."""

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part not in JOINED:
            return tensor
        blocks = TRAINED_IN, len(JOINED), self.hidden_size // TRAINED_IN
        return super().changed(part, block(tensor, blocks, 1, JOINED.index(part)))


PARTS = {**NAMES.parts, **dict.fromkeys(JOINED, "attn.qkv_proj")}
FAMILY = Family({"codegen": "CodeGen"}, Config, replace(NAMES, parts=PARTS))
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
