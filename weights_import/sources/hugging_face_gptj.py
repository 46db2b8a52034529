"""GPT-J models of Hugging Face's transformers (Wang and Komatsuzaki 2021).

Attention and hidden layer read one norm, and both results are added to the residual.  Positions
turn pairs of neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msgspec import field

from weights_import.composer import Normed
from weights_import.sources import llama
from weights_import.sources.decoder_only import Shape
from weights_import.sources.hugging_face import Layers
from weights_import.sources.hugging_face_config import Id, Ids
from weights_import.sources.hugging_face_decoder_config import (
    Config,
    Epsilon,
    Function,
    HeadSize,
    Positions,
)
from weights_import.sources.hugging_face_family import Family
from weights_import.sources.hugging_face_gpt2 import END
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.rope_scaling import Rotary
from weights_import.sources.safetensors_file import Size
from weights_import.sources.stored_rows import halves
from weights_import.tensors import Stored

BASE = 10000.0
NAMES = Names(
    body="transformer.",
    layer="h.{}.",
    embedding="wte.weight",
    last_norm="ln_f",
    parts={
        "self.norm": "ln_1",
        "self.query": "attn.q_proj",
        "self.key": "attn.k_proj",
        "self.value": "attn.v_proj",
        "self.output": "attn.out_proj",
        "ffn.inner": "mlp.fc_in",
        "ffn.outer": "mlp.fc_out",
    },
    head_bias="lm_head.bias",
)


class GptjConfig(Config, frozen=True, kw_only=True):
    """The fields of GPT-J, with the defaults of transformers."""

    bos_token_id: Id | None = END
    eos_token_id: Id | Ids = END
    hidden_act: Function = field(default="gelu_new", name="activation_function")
    hidden_size: Size = field(name="n_embd")
    intermediate_size: Size | None = field(default=None, name="n_inner")
    layer_norm_epsilon: Epsilon = 1e-5
    max_position_embeddings: Positions = field(name="n_positions")
    num_attention_heads: Size = field(name="n_head")
    num_hidden_layers: Layers = field(name="n_layer")
    rotary_dim: HeadSize = 64

    @property
    def norm(self) -> Normed:
        return Normed("l2", self.layer_norm_epsilon)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"attn": False, "mlp": True}

    @property
    def rotary(self) -> Rotary:
        return Rotary(llama.frequencies(BASE, self.rotary_dim))

    @property
    def shape(self) -> Shape:
        return replace(super().shape, gated=False, residual="parallel, one norm")

    def changed(self, part: str, tensor: Stored) -> Stored:
        heads = self.heads
        if part in ("self.query", "self.key"):
            return halves(tensor, heads.count, heads.size, len(heads.rotary))
        return tensor


FAMILY = Family({"gptj": "GPT-J"}, GptjConfig, NAMES)
FORMAT, KINDS = FAMILY.format, FAMILY.kinds
recognises, read, companions = FAMILY.recognises, FAMILY.read, FAMILY.companions
