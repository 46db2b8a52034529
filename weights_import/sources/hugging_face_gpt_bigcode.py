"""GPT-BigCode models of Hugging Face's transformers (Allal et al. 2023, section 4.2), such as
SantaCoder and StarCoder.

They are of GPT-2's kind, with matrices as [out, in].  Mostly all heads of queries share one head of
keys and values.
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import field

from weights_import.operations.heads import Heads
from weights_import.sources.hugging_face_decoder_config import Function
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gpt2 import JOINED, NAMES
from weights_import.sources.hugging_face_gpt_kind import JoinedConfig
from weights_import.sources.stored_rows import part as block
from weights_import.sources.stored_rows import projection
from weights_import.tensors import Stored


class Config(JoinedConfig, frozen=True, kw_only=True):
    """The fields of GPT-BigCode, with the defaults of transformers."""

    hidden_act: Function = field(default="gelu_pytorch_tanh", name="activation_function")
    multi_query: bool = True

    @property
    def heads(self) -> Heads:
        found = super().heads
        return replace(found, key_heads=1) if self.multi_query else found

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part not in JOINED:
            return tensor
        heads = self.heads
        if self.multi_query:
            return projection(tensor, heads, part.removeprefix("self."))
        return block(tensor, (heads.count, len(JOINED), heads.size), 1, JOINED.index(part))


FAMILY = Family({"gpt_bigcode": "GPT-BigCode"}, Config, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
