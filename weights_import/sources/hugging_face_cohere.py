"""Command models of Cohere in Hugging Face's transformers, the kind cohere.

They are of Llama's kind, with layer norms without biases.  Attention and hidden layer read one
norm, positions turn pairs of neighbours, and the logits are scaled.  In some, every head of queries
and keys has a layer norm with gains of its own, as in StableLM.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from weights_import.composer import Normed
from weights_import.operations.heads import Heads
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon, Factor
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_names import HEAD_NORMS
from weights_import.sources.hugging_face_rope import Base
from weights_import.sources.hugging_face_sliding import SlidingConfig
from weights_import.sources.stored_rows import centred, halves, scaled
from weights_import.tensors import Stored

KEYS = ("self.key", "self.key_norm")


class CohereConfig(SlidingConfig, frozen=True, kw_only=True):
    """The fields of Cohere, with the defaults of transformers."""

    layer_norm_eps: Epsilon = 1e-5
    logit_scale: Factor = 0.0625
    rms_norm_eps: Epsilon = 1e-5
    rope_theta: Base = 500000.0
    tie_word_embeddings: bool = True
    use_qk_norm: bool = False

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_eps, bias=False)

    @property
    def heads(self) -> Heads:
        return replace(super().heads, norms="each head" if self.use_qk_norm else "")

    @property
    def shape(self) -> Shape:
        return replace(super().shape, residual="parallel, one norm")

    def changed(self, part: str, tensor: Stored) -> Stored:
        if part == "norm":
            return scaled(tensor, self.logit_scale)
        if part not in ("self.query", "self.query_norm", *KEYS):
            return tensor
        heads = self.heads
        count = heads.key_heads if part in KEYS else heads.count
        if part in HEAD_NORMS:
            tensor = tensor.changed((math.prod(tensor.shape),), np.ravel)
        elif self.use_qk_norm:
            tensor = centred(tensor, count, heads.size)
        return halves(tensor, count, heads.size, len(heads.rotary))


COHERE_NAMES = replace(NAMES, parts={**NAMES.parts, **HEAD_NORMS})
FAMILY = Family({"cohere": "Cohere"}, CohereConfig, COHERE_NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
