"""Llama and Mistral models of Hugging Face's transformers: a safetensors, `config.json` and, for
texts, the SentencePiece model `tokenizer.model` beside it.

One file, with positions as they were trained (no scaling of them) and no window that attention
slides.  Tokenizers in JSON alone, such as those of Llama 3, are not read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from weights_import.float_model import Architecture, CheckpointError, FloatModel, declare
from weights_import.sources import llama
from weights_import.sources.hugging_face import (
    ACTIVATIONS,
    HEAD,
    Layers,
    canonical,
    check_words,
    named,
    one_matrix,
)
from weights_import.sources.hugging_face_config import (
    Id,
    Ids,
    Marks,
    added_tokens,
    begun,
    beside,
    model_type,
    read_config,
    refuse_added,
    shown,
)
from weights_import.sources.safetensors_file import Size, Tensors, contents
from weights_import.sources.tokenizers import read_limited
from weights_import.sources.vocabulary import CONTROL, UNKNOWN, padded, pieces_of

FORMAT = "Hugging Face Llama or Mistral (.safetensors and config.json)"
KINDS = ("llama", "mistral")
LAYER = "layers.0.mlp.gate_proj.weight"
EMBEDDING, LAST_NORM = "model.embed_tokens.weight", "model.norm.weight"
TOKENIZER, EOS = "tokenizer.model", "</s>"
UNK = 0  # of SentencePiece's models, unless they say otherwise
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


class _Rope(msgspec.Struct, frozen=True, kw_only=True):
    """How positions turn: as newer configurations tell it; within the positions that a model was
    trained for, `dynamic` scaling changes nothing."""

    rope_type: Literal["default", "dynamic"] = "default"
    type: Literal["default", "dynamic"] = "default"
    rope_theta: Annotated[float, msgspec.Meta(gt=1, le=1e15)] | None = None
    partial_rotary_factor: Annotated[float, msgspec.Meta(ge=1, le=1)] = 1.0


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a configuration; other keys do not change what a model computes."""

    model_type: Literal["llama", "mistral"]
    attention_bias: bool = False
    bos_token_id: Id
    eos_token_id: Id | Ids
    head_dim: Size | None = None
    hidden_act: Literal["silu", "swish", "gelu"]
    hidden_size: Size
    intermediate_size: Size
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1, le=UNLIMITED)]
    mlp_bias: bool = False
    num_attention_heads: Size
    num_hidden_layers: Layers
    num_key_value_heads: Size | None = None
    partial_rotary_factor: Annotated[float, msgspec.Meta(ge=1, le=1)] = 1.0
    rms_norm_eps: Annotated[float, msgspec.Meta(ge=0, le=1)]
    rope_parameters: _Rope = _Rope()
    rope_scaling: _Rope = _Rope()
    rope_theta: Annotated[float, msgspec.Meta(gt=1, le=1e15)] = 10000.0
    sliding_window: Size | None = None
    tie_word_embeddings: bool = False
    vocab_size: Size

    @property
    def base(self) -> float:
        """The base of the frequencies of positions."""
        return self.rope_parameters.rope_theta or self.rope_scaling.rope_theta or self.rope_theta


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizer."""
    tokenizer = path.with_name(TOKENIZER)
    return [*beside(path), *([tokenizer] if tokenizer.is_file() else [])]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        config = read_config(path, _Config)
        content = contents(path)
        stored = named(content.tensors)
        tied = config.tie_word_embeddings
        words = {
            "target_embedding": stored.get(EMBEDDING),
            "output.weight": one_matrix(stored, (EMBEDDING, HEAD)) if tied else stored.get(HEAD),
        }
        check(config, stored)
        marks = Marks(config.eos_token_id)
        file = path.with_name(TOKENIZER)
        found, eos, unk = tokenizers(file, config.vocab_size, marks)
        shape = architecture(config, eos, unk)
        old = filter(FREQUENCIES.fullmatch, stored)
        tensors = {name: matrix for name, matrix in words.items() if matrix is not None}
        model = FloatModel(
            shape,
            tensors | canonical(stored, stored_names(shape), {EMBEDDING, HEAD, *old}),
            tokenizers=found,
            provenance={
                "file": path.name,
                "format": f"Hugging Face {config.model_type.capitalize()}",
                "sha256": content.sha256,
            },
            wanted=TOKENIZER,
            warnings=[*marks.warnings, *begun(path.parent), *stored_frequencies(stored, shape)],
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def check(config: _Config, stored: Tensors) -> None:
    """Raises CheckpointError where the file contradicts the configuration in what would otherwise
    be taken from the one or the other."""
    words = {"target_embedding": stored[EMBEDDING]} if EMBEDDING in stored else {}
    check_words(words, {"target_embedding": config.vocab_size}, config.hidden_size)
    if not config.tie_word_embeddings and HEAD not in stored:
        raise CheckpointError(
            f"no {HEAD}: the file has the body of a model without its head, which writes no text;"
            " where the head is the embedding, config.json must say tie_word_embeddings: true"
        )
    for part, told in (("self_attn", config.attention_bias), ("mlp", config.mlp_bias)):
        weights = [n for n in stored if f".{part}." in n and n.endswith("_proj.weight")]
        biases = [n.removesuffix("weight") + "bias" in stored for n in weights]
        if any(biases) != told or any(biases) != all(biases):
            raise CheckpointError(
                f"{sum(biases)} biases for {len(weights)} matrices of {part}, where the"
                f" configuration tells of {len(weights) if told else 0}"
            )


def stored_frequencies(stored: Tensors, shape: Architecture) -> list[str]:
    """What is to be said of the frequencies of positions, which older files store and transformers
    no longer reads: they follow from the configuration."""
    told = np.array(shape.rotary)
    for name in filter(FREQUENCIES.fullmatch, stored):
        found = stored[name].ravel()
        if found.shape != told.shape or not np.allclose(found, told, rtol=ROUNDED, atol=1e-6):
            return [f"{name} differs from the configuration, which counts"]
    return []


def tokenizers(path: Path, vocabulary: int, eos: Marks) -> tuple[dict[str, bytes], int, int]:
    """The tokenizer in a file, if it is there, with a piece for each embedding; the token that ends
    a text, and that of what is unknown."""
    if not path.is_file():
        return {}, eos.chosen(None), UNK
    try:
        content = read_limited(path)
        made = padded(content, vocabulary)
        pieces = pieces_of(content)
        added = added_tokens(path.parent)
        refuse_added(added, pieces)
        if special := [token for token in added if pieces[token].type == CONTROL]:
            eos.warnings.append(f"texts that hold {shown(special)} are cut like any text")
        names = list(pieces)
        unk = next((i for i, name in enumerate(names) if pieces[name].type == UNKNOWN), UNK)
        own = names.index(EOS) if EOS in pieces else None
        chosen = eos.chosen(own)
        if own is not None and chosen != own:
            raise CheckpointError(f"its end mark is token {own}, that of the model {chosen}")
        return {"target": made}, chosen, unk
    except CheckpointError as error:
        raise CheckpointError(f"{path.name}: {error}") from None


def architecture(config: _Config, eos: int, unk: int) -> Architecture:
    """The architecture that a configuration tells; raises CheckpointError for what is not read."""
    heads, positions = config.num_attention_heads, config.max_position_embeddings
    head_size = config.hidden_size // heads
    if config.head_dim not in (None, head_size):
        raise CheckpointError(f"head_dim={config.head_dim} (supported: {head_size})")
    return llama.architecture(
        config.hidden_size,
        heads,
        config.num_key_value_heads or heads,
        config.vocab_size,
        llama.frequencies(config.base, head_size),
        d_ffn=config.intermediate_size,
        decoder_layers=config.num_hidden_layers,
        norm_epsilon=config.rms_norm_eps,
        start=config.bos_token_id,
        eos=eos,
        unk=unk,
        # Within its window, sliding attention is attention.
        max_positions=min(positions, config.sliding_window or positions),
        activation=ACTIVATIONS[config.hidden_act],
    )


def stored_names(architecture: Architecture) -> dict[str, str]:
    """Canonical name -> name in the file, for every tensor but the matrices of words."""
    names = {"decoder.norm.gain": LAST_NORM}
    for name in declare(architecture):
        stack, _, rest = name.partition(".")
        if stack == "decoder" and rest.count(".") == 3:
            layer, block, kind, leaf = rest.split(".")
            at = f"model.layers.{layer}"
            if (kind, leaf) == ("norm", "gain"):
                names[name] = f"{at}.{NORMS[block]}.weight"
            elif kind != "norm":
                names[name] = f"{at}.{BLOCKS[block]}.{PARTS[kind]}.{leaf}"
    return names
