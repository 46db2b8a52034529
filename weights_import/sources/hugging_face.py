"""What models of Hugging Face's transformers share that are made like BART, Marian's among them: a
configuration in JSON beside the safetensors, and the names of the tensors in a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from weights_import.float_model import Activation, Architecture, CheckpointError, declare
from weights_import.sources.safetensors_file import header_bytes, parse
from weights_import.sources.tokenizers import read_limited

Config = TypeVar("Config")

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
        return str(_parsed(config_file(path)).get("model_type", "unknown"))
    except (CheckpointError, AttributeError):
        return "unknown"


def read_config(path: Path, kind: type[Config]) -> Config:
    """The configuration of a checkpoint; raises CheckpointError for what is not one of its kind."""
    file = config_file(path)
    try:
        return msgspec.convert(_parsed(file), kind)
    except msgspec.ValidationError as error:
        raise CheckpointError(f"{file.name}: {error}") from None


def _parsed(file: Path) -> Any:
    try:
        return parse(read_limited(file))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file.name}: {error}") from None


def require_alike(config: Any) -> None:
    """Raises CheckpointError unless the layers of encoder and decoder are of one shape."""
    for one in ("attention_heads", "ffn_dim"):
        if getattr(config, f"encoder_{one}") != getattr(config, f"decoder_{one}"):
            raise CheckpointError(f"encoder_{one} and decoder_{one} differ")


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
