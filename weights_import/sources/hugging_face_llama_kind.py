"""What models of Llama's kind in Hugging Face's transformers share: the names of their fields and
of their tensors.

They are pre-norm by the root of the mean square, with rotary positions and a gated hidden layer.
"""

from __future__ import annotations

from collections.abc import Mapping

from weights_import.composer import Normed
from weights_import.sources.hugging_face_decoder_config import Epsilon
from weights_import.sources.hugging_face_names import Names
from weights_import.sources.hugging_face_rope import RotaryConfig
from weights_import.sources.safetensors_file import Size

NAMES = Names(
    body="model.",
    layer="layers.{}.",
    embedding="embed_tokens.weight",
    last_norm="norm",
    parts={
        "self.norm": "input_layernorm",
        "self.query": "self_attn.q_proj",
        "self.key": "self_attn.k_proj",
        "self.value": "self_attn.v_proj",
        "self.output": "self_attn.o_proj",
        "ffn.norm": "post_attention_layernorm",
        "ffn.gate": "mlp.gate_proj",
        "ffn.inner": "mlp.up_proj",
        "ffn.outer": "mlp.down_proj",
    },
)


class LlamaConfig(RotaryConfig, frozen=True, kw_only=True):
    """What is read of every configuration of this kind."""

    attention_bias: bool = False
    intermediate_size: Size
    mlp_bias: bool = False
    rms_norm_eps: Epsilon

    @property
    def norm(self) -> Normed:
        return Normed("rms", self.rms_norm_eps, bias=False)

    @property
    def biases(self) -> Mapping[str, bool]:
        return {"self_attn": self.attention_bias, "mlp": self.mlp_bias}
