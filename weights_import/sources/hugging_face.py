"""What models of Hugging Face's transformers share that are made like BART, Marian's among them: a
configuration in JSON beside the safetensors, and the names of the tensors in a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from weights_import.float_model import Activation, Architecture, CheckpointError, declare
from weights_import.sources import json_file
from weights_import.sources.json_file import Kind
from weights_import.sources.safetensors_file import Size, header_bytes

Id = Annotated[int, msgspec.Meta(ge=0)]
Layers = Annotated[int, msgspec.Meta(ge=1, le=1 << 10)]

BART = "bart"
SHARED = "model.shared.weight"
LOGITS_BIAS = "final_logits_bias"
LAYER_NORM_EPSILON = 1e-5  # PyTorch's
MAX_LENGTH_FACTOR = 3.0  # Marian's default

ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "swish": "swish",
    "silu": "swish",
    "gelu": "gelu",
}
BLOCKS = {"self": "self_attn", "cross": "encoder_attn"}
NORMS = {
    "self": "self_attn_layer_norm",
    "cross": "encoder_attn_layer_norm",
    "ffn": "final_layer_norm",
}
PARTS = {
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "out_proj",
    "inner": "fc1",
    "outer": "fc2",
}
NORM_PARTS = {"gain": "weight", "bias": "bias"}
COPIES = (
    "lm_head.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
)
"""Other names of the shared matrix."""


def config_file(path: Path) -> Path:
    """The configuration of a checkpoint: config.json beside it, or NAME_config.json."""
    own = path.with_name(f"{path.stem}_config.json")
    return own if own.is_file() else path.with_name("config.json")


def model_type(path: Path) -> str:
    """The kind of model that a safetensors and its configuration say they are, empty if they are
    none of these; a look that never raises for readable files."""
    if f'"{SHARED}"'.encode() not in header_bytes(path) or not config_file(path).is_file():
        return ""
    try:
        return str(json_file.parse_file(config_file(path)).get("model_type", "unknown"))
    except (CheckpointError, AttributeError):
        return "unknown"


def read_config(path: Path, kind: type[Kind]) -> Kind:
    """The configuration of a checkpoint; raises CheckpointError for what is not one of its kind."""
    return json_file.read(config_file(path), kind)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of every configuration; other keys do not change what a model computes."""

    activation_function: Literal["relu", "swish", "silu", "gelu"]
    add_bias_logits: Literal[False] = False
    add_final_layer_norm: Literal[False] = False
    d_model: Size
    decoder_attention_heads: Size
    decoder_ffn_dim: Size
    decoder_layers: Layers
    decoder_start_token_id: Id
    encoder_attention_heads: Size
    encoder_ffn_dim: Size
    encoder_layers: Layers
    eos_token_id: Id
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]
    normalize_before: Literal[False] = False
    pad_token_id: Id
    scale_embedding: bool = False
    vocab_size: Size

    def architecture(self, start: int, unk: int, vocabulary: int, **own: Any) -> Architecture:
        """The architecture of a model with one vocabulary for both sides, and what else is `own`;
        raises CheckpointError unless encoder and decoder have layers of one shape."""
        for one in ("attention_heads", "ffn_dim"):
            if getattr(self, f"encoder_{one}") != getattr(self, f"decoder_{one}"):
                raise CheckpointError(f"encoder_{one} and decoder_{one} differ")
        return Architecture(
            d_model=self.d_model,
            heads=self.encoder_attention_heads,
            d_ffn=self.encoder_ffn_dim,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            decoder_cell="self_attention",
            norm="l2",
            norm_position="post",
            norm_epsilon=LAYER_NORM_EPSILON,
            attention="softmax",
            activation=ACTIVATIONS[self.activation_function],
            embedding_scale=self.d_model**0.5 if self.scale_embedding else 1.0,
            start=start,
            eos=self.eos_token_id,
            unk=unk,
            source_vocabulary=vocabulary,
            target_vocabulary=vocabulary,
            max_length_factor=MAX_LENGTH_FACTOR,
            max_positions=self.max_position_embeddings,
            **own,
        )


def stored_names(architecture: Architecture) -> dict[str, str]:
    """Canonical name -> name in the file, for every tensor of a stack."""
    names = {}
    for name in declare(architecture):
        stack, _, rest = name.partition(".")
        if stack not in ("encoder", "decoder"):
            continue
        if rest.startswith("embedding_norm"):
            leaf = NORM_PARTS[rest.rpartition(".")[2]]
            names[name] = f"model.{stack}.layernorm_embedding.{leaf}"
            continue
        layer, block, kind, leaf = rest.split(".")
        at = f"model.{stack}.layers.{layer}"
        if kind == "norm":
            names[name] = f"{at}.{NORMS[block]}.{NORM_PARTS[leaf]}"
        elif block == "ffn":
            names[name] = f"{at}.{PARTS[kind]}.{leaf}"
        else:
            names[name] = f"{at}.{BLOCKS[block]}.{PARTS[kind]}.{leaf}"
    return names
