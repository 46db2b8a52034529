"""What models of Llama's kind in Hugging Face's transformers share: the fields of their
configuration, and the names of their tensors.

Positions are as they were trained, which means that nothing scales them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.operations.heads import Heads
from weights_import.sources import llama
from weights_import.sources.hugging_face import ACTIVATIONS, HEAD, Layers, named, unused
from weights_import.sources.hugging_face_decoder import (
    Decoder,
    decoder_model,
    size_of_heads,
    words,
)
from weights_import.sources.lookup import Lookup
from weights_import.sources.safetensors_file import Contents, Size
from weights_import.tensors import Stored

LAYER = "layers.0.mlp.gate_proj.weight"
"""A tensor that every such checkpoint has."""
EMBEDDING, LAST_NORM = "model.embed_tokens.weight", "model.norm.weight"
UNLIMITED = 1 << 20
"""Positions of a model are counted up to here."""
FREQUENCIES = re.compile(r".*rotary_emb\.inv_freq")
ROUNDED = 1e-2
"""The largest relative error of the frequencies that a file stores: 16 bits round them."""

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


class Rope(msgspec.Struct, frozen=True, kw_only=True):
    """How positions turn: as newer configurations tell it; within the positions that a model was
    trained for, `dynamic` scaling changes nothing."""

    rope_type: Literal["default", "dynamic"] = "default"
    type: Literal["default", "dynamic"] = "default"
    rope_theta: Annotated[float, msgspec.Meta(gt=1, le=1e15)] | None = None
    partial_rotary_factor: Annotated[float, msgspec.Meta(ge=1, le=1)] = 1.0


class Config(Decoder, frozen=True, kw_only=True):
    """What is read of every configuration; other keys do not change what a model computes."""

    model_type: str
    head_dim: Size | None = None
    hidden_act: Literal["silu", "swish", "gelu"]
    hidden_size: Size
    intermediate_size: Size
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1, le=UNLIMITED)]
    num_attention_heads: Size
    num_hidden_layers: Layers
    num_key_value_heads: Size | None = None
    partial_rotary_factor: Annotated[float, msgspec.Meta(ge=1, le=1)] = 1.0
    rms_norm_eps: Annotated[float, msgspec.Meta(ge=0, le=1)]
    rope_parameters: Rope = Rope()
    rope_scaling: Rope = Rope()
    rope_theta: Annotated[float, msgspec.Meta(gt=1, le=1e15)] = 10000.0
    tie_word_embeddings: bool = False

    @property
    def biases(self) -> Mapping[str, bool]:
        """For each part of a layer, such as `self_attn`, whether its products have biases."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        return self.model_type.capitalize()

    @property
    def width(self) -> int:
        return self.hidden_size

    @property
    def positions(self) -> int:
        return self.max_position_embeddings

    @property
    def base(self) -> float:
        """The base of the frequencies of positions."""
        return self.rope_parameters.rope_theta or self.rope_scaling.rope_theta or self.rope_theta

    @property
    def heads(self) -> Heads:
        """The heads of the attention; raises CheckpointError for heads of another size."""
        count = self.num_attention_heads
        size = size_of_heads(self.hidden_size, count)
        if self.head_dim not in (None, size):
            raise CheckpointError(f"head_dim={self.head_dim} (supported: {size})")
        frequencies = llama.frequencies(self.base, size)
        return llama.heads_of(count, self.num_key_value_heads or count, size, frequencies)

    @property
    def shape(self) -> llama.Shape:
        """The sizes of the model; raises CheckpointError likewise."""
        return llama.Shape(
            d_model=self.hidden_size,
            d_ffn=self.intermediate_size,
            layers=self.num_hidden_layers,
            vocabulary=self.vocab_size,
            heads=self.heads,
            activation=ACTIVATIONS[self.hidden_act],
        )


def read_kind(path: Path, config: Config, content: Contents) -> FloatModel:
    """The model of a checkpoint with the files beside it; raises CheckpointError."""
    stored = named(content.tensors)
    own = words(config, stored, EMBEDDING)
    check_biases(stored, config.biases)
    shape = config.shape
    found = Lookup(stored, stored_name, own)
    c = Composer(found, config.width, Normed("rms", config.rms_norm_eps, bias=False), biases=False)
    logits = llama.compose(c, shape)
    old = {name: stored[name] for name in stored if FREQUENCIES.fullmatch(name)}
    made = c.finish(logits, unused(found, {EMBEDDING, HEAD, *old}))
    model = decoder_model(path, content.sha256, config, made)
    model.warnings.extend(stored_frequencies(old, shape.heads.rotary))
    return model


def check_biases(names: Iterable[str], told: Mapping[str, bool]) -> None:
    """Raises CheckpointError where the file has biases that it must not have, or lacks some, for
    the parts of a layer that are `told`."""
    there = set(names)
    for part, wanted in told.items():
        weights = [n for n in there if f".{part}." in n and n.endswith("_proj.weight")]
        biases = [n.removesuffix("weight") + "bias" in there for n in weights]
        if any(biases) != wanted or any(biases) != all(biases):
            raise CheckpointError(
                f"{sum(biases)} biases for {len(weights)} matrices of {part}, where the"
                f" configuration tells of {len(weights) if wanted else 0}"
            )


def stored_frequencies(found: Mapping[str, Stored], told: tuple[float, ...]) -> list[str]:
    """What is to be said of the frequencies of positions, which older files store and transformers
    no longer reads, because they follow from the configuration."""
    for name, tensor in found.items():
        values = tensor.read().ravel()
        if values.size != len(told) or not np.allclose(values, told, rtol=ROUNDED, atol=1e-6):
            return [f"{name} differs from the configuration, which counts"]
    return []


def stored_name(canonical: str) -> str:
    """The name in the file of a tensor; "" for a bias of a norm, which no such file has, and for
    the matrices of words, which have their own rules."""
    match canonical.split("."):
        case ["decoder", "norm", "gain"]:
            return LAST_NORM
        case ["decoder", layer, block, "norm", "gain"]:
            return f"model.layers.{layer}.{NORMS[block]}.weight"
        case ["decoder", layer, block, part, leaf] if part in PARTS:
            return f"model.layers.{layer}.{BLOCKS[block]}.{PARTS[part]}.{leaf}"
    return ""
