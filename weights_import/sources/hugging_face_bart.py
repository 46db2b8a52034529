"""BART models of Hugging Face's transformers (Lewis et al. 2020): a safetensors, and beside it
`config.json` or `NAME_config.json`.

Source and target stand between bos and eos; positions are learned, a table a side, of which the
first two rows are not used; what is embedded is normed.  Texts need SentencePiece models beside the
file, or a configuration that lists the characters of both sides, `grapheme_chars` and
`phoneme_chars`, in the order of their ids, with `_` for what is none (as Misaki's models of
pronunciation have it).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from int8ref.program import Frame
from weights_import.float_model import Architecture, CheckpointError, Float32, FloatModel
from weights_import.sources.hugging_face import (
    ACTIVATIONS,
    BART,
    COPIES,
    LAYER_NORM_EPSILON,
    LOGITS_BIAS,
    MAX_LENGTH_FACTOR,
    SHARED,
    config_file,
    model_type,
    read_config,
    require_alike,
    stored_names,
)
from weights_import.sources.safetensors_file import Size, contents
from weights_import.sources.tokenizers import tokenizer_files, tokenizers_in
from weights_import.sources.vocabulary import of_characters

FORMAT = "Hugging Face BART (.safetensors and config.json)"
UNUSED_POSITIONS = 2
PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
NO_CHARACTER = "_"

Id = Annotated[int, msgspec.Meta(ge=0)]
Layers = Annotated[int, msgspec.Meta(ge=1, le=1 << 10)]


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the configuration; other keys do not change what the model computes."""

    model_type: Literal["bart"]
    activation_function: Literal["relu", "swish", "silu", "gelu"]
    add_bias_logits: Literal[False] = False
    add_final_layer_norm: Literal[False] = False
    bos_token_id: Id
    d_model: Size
    decoder_attention_heads: Size
    decoder_ffn_dim: Size
    decoder_layers: Layers
    decoder_start_token_id: Id
    encoder_attention_heads: Size
    encoder_ffn_dim: Size
    encoder_layers: Layers
    eos_token_id: Id
    forced_bos_token_id: None = None
    grapheme_chars: str | None = None
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=1, le=1 << 14)]
    normalize_before: Literal[False] = False
    normalize_embedding: Literal[True] = True
    pad_token_id: Id
    phoneme_chars: str | None = None
    scale_embedding: bool = False
    static_position_embeddings: Literal[False] = False
    tie_word_embeddings: Literal[True] = True
    unk_token_id: Id = 3
    vocab_size: Size


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path) == BART


def companions(path: Path) -> list[Path]:
    """Its configuration and its tokenizers."""
    return [config_file(path), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        config = read_config(path, _Config)
        shape = architecture(config)
        content = contents(path)
        model = FloatModel(
            shape,
            _canonical(shape, content.tensors),
            tokenizers=characters(config) or tokenizers_in(path.parent),
            provenance={
                "file": path.name,
                "format": "Hugging Face BART",
                "sha256": content.sha256,
            },
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def architecture(config: _Config) -> Architecture:
    """The architecture; raises CheckpointError if it is another one."""
    require_alike(config)
    return Architecture(
        d_model=config.d_model,
        heads=config.encoder_attention_heads,
        d_ffn=config.encoder_ffn_dim,
        encoder_layers=config.encoder_layers,
        decoder_layers=config.decoder_layers,
        decoder_cell="self_attention",
        norm="l2",
        norm_position="post",
        norm_epsilon=LAYER_NORM_EPSILON,
        attention="softmax",
        activation=ACTIVATIONS[config.activation_function],
        embedding_scale=config.d_model**0.5 if config.scale_embedding else 1.0,
        start=config.decoder_start_token_id,
        eos=config.eos_token_id,
        unk=config.unk_token_id,
        source_vocabulary=config.vocab_size,
        target_vocabulary=config.vocab_size,
        max_length_factor=MAX_LENGTH_FACTOR,
        max_positions=config.max_position_embeddings,
        source_frame=Frame((config.bos_token_id,), (config.eos_token_id,)),
        embedding_norm=True,
        target_prefix=(config.bos_token_id,),
    )


def characters(config: _Config) -> dict[str, bytes]:
    """The tokenizers of a configuration that lists characters, none where it does not; raises
    CheckpointError for lists that fit the model not."""
    named = {config.pad_token_id: PAD, config.bos_token_id: BOS, config.eos_token_id: EOS}
    named |= {config.unk_token_id: UNK}
    found = {}
    for side, listed in (("source", config.grapheme_chars), ("target", config.phoneme_chars)):
        if listed is None:
            continue
        blanks = [i for i, c in enumerate(listed) if c == NO_CHARACTER]
        if len(listed) > config.vocab_size or not set(named) <= set(blanks) or len(named) < 4:
            raise CheckpointError(f"characters of the {side}: not those of this vocabulary")
        unused = [*blanks, *range(len(listed), config.vocab_size)]
        names = {i: f"<unused{i}>" for i in unused} | named
        pieces = {names.get(i, listed[i : i + 1]): i for i in range(config.vocab_size)}
        content = of_characters(pieces)
        if content is not None:
            found[side] = content
    return found


def _canonical(architecture: Architecture, stored: dict[str, Float32]) -> dict[str, Float32]:
    """The tensors under their canonical names."""
    tables = [f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder")]
    names = stored_names(architecture)
    tensors = {name: stored[old] for name, old in names.items() if old in stored}
    if SHARED in stored:
        words = ("source_embedding", "target_embedding", "output.weight")
        tensors |= dict.fromkeys(words, stored[SHARED])
    for name, table in zip(("positions", "target_positions"), tables, strict=True):
        if table in stored:
            tensors[name] = np.ascontiguousarray(stored[table][UNUSED_POSITIONS:])
    if LOGITS_BIAS in stored:
        tensors["output.bias"] = stored[LOGITS_BIAS].ravel()
    used = {SHARED, LOGITS_BIAS, *names.values(), *tables, *COPIES}
    return tensors | {name: value for name, value in stored.items() if name not in used}
