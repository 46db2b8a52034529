"""Phi-3 models of Hugging Face's transformers (Abdin et al. 2024, section 2).

They are of Llama's kind.  Queries, keys and values have one matrix, and gate and hidden layer have
another one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from weights_import.errors import CheckpointError
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama import Config as MistralConfig
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import LONG, Rope
from weights_import.sources.stored_rows import part as block
from weights_import.sources.stored_rows import projection
from weights_import.tensors import Stored

PROJECTIONS, HIDDEN = ("self.query", "self.key", "self.value"), ("ffn.gate", "ffn.inner")
JOINED = {
    **dict.fromkeys(PROJECTIONS, "self_attn.qkv_proj"),
    **dict.fromkeys(HIDDEN, "mlp.gate_up_proj"),
}


class Config(MistralConfig, frozen=True, kw_only=True):
    """The fields of Phi-3, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    attention_bias: Literal[False] = False
    mlp_bias: Literal[False] = False

    @property
    def rope(self) -> Rope:
        """The settings of positions; raises CheckpointError for another scaling than Phi-3's."""
        found = super().rope
        if found.method not in ("default", *LONG):
            raise CheckpointError(f"rope scaling {found.method!r} of Phi-3 (supported: longrope)")
        return found

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part in PROJECTIONS:
            return projection(tensor, self.heads, part.removeprefix("self."))
        if part in HIDDEN:
            return block(tensor, (len(HIDDEN), self.inner), 0, HIDDEN.index(part))
        return tensor


FAMILY = Family({"phi3": "Phi-3"}, Config, replace(NAMES, parts={**NAMES.parts, **JOINED}))
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
