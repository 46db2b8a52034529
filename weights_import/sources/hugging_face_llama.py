"""Llama and Mistral models of Hugging Face's transformers: a safetensors, `config.json` and, for
texts, the SentencePiece model `tokenizer.model` beside it.

One file, with positions as they were trained (no scaling of them) and no window that attention
slides.  Tokenizers in JSON alone, such as those of Llama 3, are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from weights_import.float_model import Architecture, CheckpointError, Float32, FloatModel, declare
from weights_import.sources import llama
from weights_import.sources.hugging_face import ACTIVATIONS, Id, Layers, config_file, read_config
from weights_import.sources.safetensors_file import Size, contents, header_bytes, renamed
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import padded

FORMAT = "Hugging Face Llama or Mistral (.safetensors and config.json)"
EMBEDDING, HEAD, LAST_NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
TOKENIZER = "tokenizer.model"
UNK = 0  # of SentencePiece's models, unless they say otherwise
UNLIMITED = 1 << 20
"""Positions of a model are counted up to here."""

BLOCKS = {"self": "self_attn", "ffn": "mlp"}
NORMS = {"self": "input_layernorm", "ffn": "post_attention_layernorm"}
PARTS = {
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "output": "o_proj",
    "gate": "gate_proj",
    "inner": "up_proj",
    "outer": "down_proj",
}


class _Rope(msgspec.Struct, frozen=True, kw_only=True):
    """How positions turn: as newer configurations tell it."""

    rope_type: Literal["default"] = "default"
    rope_theta: Annotated[float, msgspec.Meta(gt=1)] = 10000.0


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a configuration; other keys do not change what a model computes."""

    model_type: Literal["llama", "mistral"]
    attention_bias: bool = False
    bos_token_id: Id
    eos_token_id: Id
    head_dim: Size | None = None
    hidden_act: Literal["silu", "swish", "gelu"]
    hidden_size: Size
    intermediate_size: Size
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1, le=UNLIMITED)]
    mlp_bias: bool = False
    num_attention_heads: Size
    num_hidden_layers: Layers
    num_key_value_heads: Size | None = None
    rms_norm_eps: Annotated[float, msgspec.Meta(ge=0)]
    rope_parameters: _Rope | None = None
    rope_scaling: None = None
    rope_theta: Annotated[float, msgspec.Meta(gt=1)] = 10000.0
    sliding_window: Size | None = None
    tie_word_embeddings: bool = False
    vocab_size: Size


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    head = header_bytes(path)
    known = (EMBEDDING, "model.layers.0.mlp.gate_proj.weight")
    return all(f'"{name}"'.encode() in head for name in known) and config_file(path).is_file()


def companions(path: Path) -> list[Path]:
    """Its configuration and its tokenizer."""
    files = config_file(path), path.with_name(TOKENIZER)
    return [file for file in files if file.is_file()]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        config = read_config(path, _Config)
        content = contents(path)
        shape = architecture(config)
        model = FloatModel(
            shape,
            canonical(shape, content.tensors, config.tie_word_embeddings),
            tokenizers=tokenizers(path.with_name(TOKENIZER), config.vocab_size),
            provenance={
                "file": path.name,
                "format": f"Hugging Face {config.model_type.capitalize()}",
                "sha256": content.sha256,
            },
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def tokenizers(path: Path, vocabulary: int) -> dict[str, bytes]:
    """The tokenizer in a file, if it is there, with a piece for each embedding."""
    if not path.is_file():
        return {}
    try:
        return {"target": padded(read_limited(path), vocabulary)}
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None


def architecture(config: _Config) -> Architecture:
    """The architecture that a configuration tells; raises CheckpointError for what is not read."""
    heads, positions = config.num_attention_heads, config.max_position_embeddings
    head_size = config.hidden_size // heads
    if config.head_dim not in (None, head_size):
        raise CheckpointError(f"head_dim={config.head_dim} (supported: {head_size})")
    rope = config.rope_parameters or _Rope(rope_theta=config.rope_theta)
    return llama.architecture(
        config.hidden_size,
        heads,
        config.num_key_value_heads or heads,
        config.vocab_size,
        llama.frequencies(rope.rope_theta, head_size),
        d_ffn=config.intermediate_size,
        decoder_layers=config.num_hidden_layers,
        norm_epsilon=config.rms_norm_eps,
        start=config.bos_token_id,
        eos=config.eos_token_id,
        unk=UNK,
        # Within its window, sliding attention is attention.
        max_positions=min(positions, config.sliding_window or positions),
        activation=ACTIVATIONS[config.hidden_act],
    )


def canonical(
    architecture: Architecture, stored: dict[str, Float32], tied: bool
) -> dict[str, Float32]:
    """The tensors under their canonical names."""
    names = {"target_embedding": EMBEDDING, "decoder.norm.gain": LAST_NORM}
    names["output.weight"] = EMBEDDING if tied else HEAD
    for name in declare(architecture):
        stack, _, rest = name.partition(".")
        if stack == "decoder" and rest.count(".") == 3:
            layer, block, kind, leaf = rest.split(".")
            at = f"model.layers.{layer}"
            if (kind, leaf) == ("norm", "gain"):
                names[name] = f"{at}.{NORMS[block]}.weight"
            elif kind != "norm":
                names[name] = f"{at}.{BLOCKS[block]}.{PARTS[kind]}.{leaf}"
    return renamed(stored, names, {HEAD} if tied else ())
