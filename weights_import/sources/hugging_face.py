"""What models of Hugging Face's transformers share, and those that are made like BART, Marian's
among them: the fields of their configuration, and the names of their tensors."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from weights_import.arithmetic.activations import Activation
from weights_import.composer import Composer, Normed
from weights_import.errors import CheckpointError
from weights_import.float_program import FloatProgram
from weights_import.sources import encoder_decoder
from weights_import.sources.hugging_face_config import Id, Ids
from weights_import.sources.lookup import Lookup, Own, described
from weights_import.sources.safetensors_file import Integers, Size
from weights_import.tensors import Stored, Tensors

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
FOLLOWS = re.compile(r"(.*\.)?(masked_bias|version|_float_tensor|embed_positions\.weights)")
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
STACK_NORMS = {"embedding_norm": "layernorm_embedding", "norm": "layer_norm"}


def named(stored: Mapping[str, Stored]) -> dict[str, Stored]:
    """The tensors by the names of a model with a head, whether the file has that or the body alone;
    without those that follow from others."""
    whole = any(name.startswith(BODY) for name in stored)
    return {
        name if whole or name.partition(".")[0] not in ROOTS else BODY + name: value
        for name, value in stored.items()
        if not FOLLOWS.fullmatch(name)
    }


def one_matrix(stored: Mapping[str, Stored], names: Collection[str]) -> Stored | None:
    """The matrix that stands under these names, of which a file may lack some; None without any.

    Raises CheckpointError where two differ, although the configuration ties them.
    """
    there = [name for name in names if name in stored]
    for other in there[1:]:
        if not equal(stored[there[0]], stored[other]):
            raise CheckpointError(
                f"{there[0]} and {other} differ, but the configuration says that they are one"
                " matrix; where they are not, it must say tie_word_embeddings: false"
            )
    return stored[there[0]] if there else None


def equal(a: Stored, b: Stored) -> bool:
    """Whether two tensors have the same numbers."""
    return a is b or (a.shape == b.shape and np.array_equal(a.read(), b.read()))


def embeddings(
    stored: Mapping[str, Stored], tied: bool, shared: bool = True
) -> dict[str, Stored | None]:
    """The matrices of source, target and output by their canonical names: all one where they are
    `tied` and both sides share one; the same object where they are one; None where the file has
    none."""
    if tied and shared:
        source = target = output = one_matrix(stored, (SHARED, SOURCE, TARGET, HEAD))
    else:
        source, target = (stored.get(name, stored.get(SHARED)) for name in (SOURCE, TARGET))
        output = stored.get(HEAD)
        if tied:
            target = output = one_matrix(stored, (TARGET, HEAD))
    return {"source_embedding": source, "target_embedding": target, "output.weight": output}


def check_words(found: Mapping[str, Stored | None], sizes: Mapping[str, int], width: int) -> None:
    """Raises CheckpointError unless the matrices of `embeddings` have the `sizes` of their
    vocabularies, before anything is made as wide as the configuration says."""
    for name, size in sizes.items():
        expected, matrix = [size, width], found.get(name)
        if matrix is None:
            raise CheckpointError(f"missing {name} {expected}")
        if (shape := list(matrix.shape)) != expected:
            raise CheckpointError(f"wrong shape {name} {shape}, expected {expected}")


def one_vocabulary(stored: Mapping[str, Stored], config: Shape) -> dict[str, Own]:
    """The matrices of `embeddings` and the bias of the output, where both sides have one
    vocabulary; raises CheckpointError as `check_words`."""
    words = embeddings(stored, config.tie_word_embeddings)
    sizes = dict.fromkeys(("source_embedding", "target_embedding"), config.vocab_size)
    check_words(words, sizes, config.d_model)
    return {**words, "output.bias": logits_bias(stored)}


def logits_bias(stored: Mapping[str, Stored]) -> Stored | None:
    """The bias of the output, a row of it in the file; None without one."""
    found = stored.get(LOGITS_BIAS)
    if found is None:
        return None
    return found.changed((math.prod(found.shape),), np.ravel)


def unused(found: Lookup, others: Collection[str] = ()) -> list[str]:
    """The floats that nobody has asked for, but for `others`; integers that nobody asks for, such
    as `position_ids`, do no harm."""
    left = found.unasked(others)
    return described({n: tensor for n, tensor in left.items() if not isinstance(tensor, Integers)})


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

    @property
    def vocabularies(self) -> tuple[int, int]:
        """The sizes of the vocabularies of source and target."""
        return self.vocab_size, self.vocab_size

    def shape(self, **own: Any) -> encoder_decoder.Shape:
        """The shape of a model, and what else is `own`; raises CheckpointError unless encoder and
        decoder have layers of one shape."""
        for one in ("attention_heads", "ffn_dim"):
            if getattr(self, f"encoder_{one}") != getattr(self, f"decoder_{one}"):
                raise CheckpointError(f"encoder_{one} and decoder_{one} differ")
        source, target = self.vocabularies
        told: dict[str, Any] = {"source_vocabulary": source, "target_vocabulary": target}
        return encoder_decoder.Shape(
            d_model=self.d_model,
            heads=self.encoder_attention_heads,
            d_ffn=self.encoder_ffn_dim,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            activation=ACTIVATIONS[self.activation_function],
            embedding_scale=math.sqrt(self.d_model) if self.scale_embedding else 1.0,
            max_positions=self.max_position_embeddings,
            **(told | own),
        )


def stored_name(canonical: str) -> str:
    """The name in the file of a tensor of a stack; of others, which have their own rules, none."""
    stack, _, rest = canonical.partition(".")
    if stack not in ("encoder", "decoder"):
        return ""
    for name, named in STACK_NORMS.items():
        if rest.startswith(f"{name}."):
            return f"model.{stack}.{named}.{NORM_PARTS[rest.rpartition('.')[2]]}"
    layer, block, kind, leaf = rest.split(".")
    at = f"model.{stack}.layers.{layer}"
    if kind == "norm":
        return f"{at}.{NORMS[block]}.{NORM_PARTS[leaf]}"
    if block == "ffn":
        return f"{at}.{PARTS[kind]}.{leaf}"
    return f"{at}.{BLOCKS[block]}.{PARTS[kind]}.{leaf}"


def composed(
    stored: Mapping[str, Stored], shape: encoder_decoder.Shape, own: Mapping[str, Own]
) -> tuple[FloatProgram, Tensors]:
    """The program of a model and its tensors; `own` are the tensors of TOLD by canonical names."""
    found = Lookup(stored, stored_name, own)
    c = Composer(found, shape.d_model, Normed("l2", LAYER_NORM_EPSILON))
    logits = encoder_decoder.compose(c, shape)
    return c.finish(logits, unused(found, TOLD))
