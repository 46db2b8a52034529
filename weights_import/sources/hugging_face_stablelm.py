"""StableLM models of Hugging Face's transformers (Bellagente et al. 2024, section 3).

They are of Llama's kind, with layer norms, and positions turn a quarter of the columns.  In some,
every head of queries and keys has a layer norm with gains of its own.  The product before such a
norm is centred here, so that the root of the mean square is all that is left to divide by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from weights_import.composer import Normed
from weights_import.operations.heads import Heads
from weights_import.sources.decoder_only import Residual, Shape
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_llama_kind import NAMES
from weights_import.sources.hugging_face_rope import RotaryConfig, Share
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import centred
from weights_import.tensors import Stored


class Config(RotaryConfig, frozen=True, kw_only=True):
    """The fields of StableLM, with the defaults of transformers."""

    parts: ClassVar[bool] = True
    intermediate_size: Size
    layer_norm_eps: Epsilon = 1e-5
    partial_rotary_factor: Share = 0.25
    qk_layernorm: bool = False
    use_parallel_residual: bool = False
    use_qkv_bias: bool = False

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_eps)

    @property
    def biases(self) -> Mapping[str, bool]:
        joined = {f"self_attn.{part}_proj": self.use_qkv_bias for part in "qkv"}
        return joined | {"self_attn.o_proj": False, "mlp": False}

    @property
    def heads(self) -> Heads:
        return replace(super().heads, norms="each head" if self.qk_layernorm else "")

    def changed(self, part: str, tensor: Stored) -> Stored:
        heads = self.heads
        counts = {"self.query": heads.count, "self.key": heads.key_heads}
        if not self.qk_layernorm or part not in counts:
            return tensor
        return centred(tensor, counts[part], heads.size)

    @property
    def shape(self) -> Shape:
        residual: Residual = "parallel, one norm" if self.use_parallel_residual else "in turn"
        return replace(super().shape, residual=residual)


OWN = {"self.query_norm": "self_attn.q_layernorm", "self.key_norm": "self_attn.k_layernorm"}
FAMILY = Family({"stablelm": "StableLM"}, Config, replace(NAMES, parts={**NAMES.parts, **OWN}))
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
