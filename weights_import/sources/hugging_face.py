"""What models of Hugging Face's transformers share that are made like BART, Marian's among them:
the fields of their configuration, and the names of their tensors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from weights_import.float_model import Activation, Architecture, CheckpointError, Float32, declare
from weights_import.sources.hugging_face_config import Id, Ids
from weights_import.sources.safetensors_file import Size, Tensors, renamed

Layers = Annotated[int, msgspec.Meta(ge=1, le=1 << 10)]

LAYER = "encoder.layers.0.fc1.weight"
"""A tensor that every such checkpoint has."""
SHARED = "model.shared.weight"
SOURCE, TARGET = (f"model.{stack}.embed_tokens.weight" for stack in ("encoder", "decoder"))
HEAD = "lm_head.weight"
POSITIONS = tuple(f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder"))
LOGITS_BIAS = "final_logits_bias"
TOLD = {SHARED, SOURCE, TARGET, HEAD, LOGITS_BIAS, *POSITIONS}
"""What is asked for by its own rules."""
BODY, ROOTS = "model.", ("shared", "encoder", "decoder", "embed_tokens", "layers", "norm")
"""What stands before the names of a model with a head, and what they begin with without one."""
FOLLOWS = re.compile(r"(.*\.)?(masked_bias|version|_float_tensor)")
"""Floats that older versions of transformers store and that no model needs."""
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


def named(stored: Tensors) -> Tensors:
    """The tensors by the names of a model with a head, whether the file has that or the body alone;
    without those that follow from others."""
    whole = any(name.startswith(BODY) for name in stored)
    return {
        name if whole or name.partition(".")[0] not in ROOTS else BODY + name: value
        for name, value in stored.items()
        if not FOLLOWS.fullmatch(name)
    }


def canonical(stored: Tensors, names: Mapping[str, str], others: Collection[str] = ()) -> Tensors:
    """The tensors by the canonical names of `names`, without the `others`, and without integers
    that nobody asks for, such as `position_ids`; a float that nobody asks for keeps its name."""
    found = renamed(stored, names, others)
    return {n: value for n, value in found.items() if n in names or value.dtype.kind == "f"}


def one_matrix(stored: Tensors, names: Collection[str]) -> Float32 | None:
    """The matrix that stands under these names, of which a file may lack some; None without any.

    Raises CheckpointError where two differ, although the configuration ties them.
    """
    there = [name for name in names if name in stored]
    for other in there[1:]:
        if not np.array_equal(stored[there[0]], stored[other]):
            raise CheckpointError(
                f"{there[0]} and {other} differ, but the configuration says that they are one"
                " matrix; where they are not, it must say tie_word_embeddings: false"
            )
    return stored[there[0]] if there else None


def embeddings(stored: Tensors, tied: bool, shared: bool = True) -> Tensors:
    """The matrices of source, target and output by their canonical names: all one where they are
    `tied` and both sides share one; the same object where they are one."""
    if tied and shared:
        source = target = output = one_matrix(stored, (SHARED, SOURCE, TARGET, HEAD))
    else:
        source, target = (stored.get(name, stored.get(SHARED)) for name in (SOURCE, TARGET))
        output = stored.get(HEAD)
        if tied:
            target = output = one_matrix(stored, (TARGET, HEAD))
    found = {"source_embedding": source, "target_embedding": target, "output.weight": output}
    return {name: matrix for name, matrix in found.items() if matrix is not None}


def check_words(found: Tensors, sizes: Mapping[str, int], width: int) -> None:
    """Raises CheckpointError unless the matrices of `embeddings` have the `sizes` of their
    vocabularies, before anything is made as wide as the configuration says."""
    for name, size in sizes.items():
        expected = [size, width]
        if name not in found:
            raise CheckpointError(f"missing {name} {expected}")
        if (shape := list(found[name].shape)) != expected:
            raise CheckpointError(f"wrong shape {name} {shape}, expected {expected}")


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
    eos_token_id: Id | Ids
    extra_pos_embeddings: Literal[2] = 2
    is_encoder_decoder: Literal[True] = True
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]
    normalize_before: Literal[False] = False
    pad_token_id: Id
    scale_embedding: bool = False
    tie_encoder_decoder: Literal[False] = False
    tie_word_embeddings: bool = True
    vocab_size: Size

    def architecture(
        self, start: int, eos: int, unk: int, vocabularies: tuple[int, int], **own: Any
    ) -> Architecture:
        """The architecture of a model with these sizes of vocabularies, and what else is `own`;
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
            eos=eos,
            unk=unk,
            source_vocabulary=vocabularies[0],
            target_vocabulary=vocabularies[1],
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
