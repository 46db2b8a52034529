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
from typing import Literal

import numpy as np

from int8ref.program import Frame
from weights_import.float_model import Architecture, CheckpointError, Float32, FloatModel
from weights_import.sources.hugging_face import (
    BART,
    COPIES,
    LOGITS_BIAS,
    SHARED,
    Id,
    Shape,
    config_file,
    model_type,
    read_config,
    stored_names,
)
from weights_import.sources.safetensors_file import contents, renamed
from weights_import.sources.tokenizers import tokenizer_files, tokenizers_in
from weights_import.sources.vocabulary import of_characters

FORMAT = "Hugging Face BART (.safetensors and config.json)"
UNUSED_POSITIONS = 2
PAD, BOS, EOS, UNK = "<pad>", "<s>", "</s>", "<unk>"
NO_CHARACTER = "_"


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of BART."""

    model_type: Literal["bart"]
    bos_token_id: Id
    forced_bos_token_id: None = None
    grapheme_chars: str | None = None
    normalize_embedding: Literal[True] = True
    phoneme_chars: str | None = None
    static_position_embeddings: Literal[False] = False
    tie_word_embeddings: Literal[True] = True
    unk_token_id: Id = 3


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
        shape = config.architecture(
            config.decoder_start_token_id,
            config.unk_token_id,
            config.vocab_size,
            source_frame=Frame((config.bos_token_id,), (config.eos_token_id,)),
            embedding_norm=True,
            target_prefix=(config.bos_token_id,),
        )
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
    tensors: dict[str, Float32] = {}
    if SHARED in stored:
        words = ("source_embedding", "target_embedding", "output.weight")
        tensors |= dict.fromkeys(words, stored[SHARED])
    for name, table in zip(("positions", "target_positions"), tables, strict=True):
        if table in stored:
            tensors[name] = np.ascontiguousarray(stored[table][UNUSED_POSITIONS:])
    if LOGITS_BIAS in stored:
        tensors["output.bias"] = stored[LOGITS_BIAS].ravel()
    others = {SHARED, LOGITS_BIAS, *tables, *COPIES}
    return tensors | renamed(stored, stored_names(architecture), others)
