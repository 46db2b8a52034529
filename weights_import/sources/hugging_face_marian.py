"""Marian models as Hugging Face's transformers keeps them, such as OPUS-MT: `model.safetensors`,
and beside it `config.json`, `source.spm`, `target.spm` and `vocab.json`.

The last token is `<pad>`, which transformers adds to Marian's: its embedding is zero, the decoder
begins with it, and no search may choose it.  Without it the model is Marian's, whose decoder begins
with the zero vector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from weights_import.float_model import Architecture, CheckpointError, Float32, FloatModel
from weights_import.sources.hugging_face import (
    BART,
    COPIES,
    LOGITS_BIAS,
    SHARED,
    Shape,
    config_file,
    model_type,
    read_config,
    stored_names,
)
from weights_import.sources.safetensors_file import contents, renamed
from weights_import.sources.tokenizers import read_vocabulary, tokenizer_files, tokenizers_in

FORMAT = "Hugging Face Marian (.safetensors and config.json)"
PAD, UNK = "<pad>", "<unk>"
IGNORED = (
    *COPIES,
    # Sinusoids that follow from their length.
    "model.encoder.embed_positions.weight",
    "model.decoder.embed_positions.weight",
)


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of Marian's."""

    model_type: Literal["marian"]
    normalize_embedding: Literal[False] = False
    share_encoder_decoder_embeddings: Literal[True] = True
    static_position_embeddings: Literal[True]


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, or of none that is known, with its
    configuration beside it."""
    return model_type(path) not in ("", BART)


def companions(path: Path) -> list[Path]:
    """Its configuration and its tokenizers."""
    return [config_file(path), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        config = read_config(path, _Config)
        shape = architecture(config, unknown_id(path.parent))
        content = contents(path)
        model = FloatModel(
            shape,
            _canonical(shape, config.vocab_size, content.tensors),
            tokenizers=tokenizers_in(path.parent, leave_out=(PAD,)),
            provenance={
                "file": path.name,
                "format": "Hugging Face Marian",
                "sha256": content.sha256,
            },
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def unknown_id(folder: Path) -> int:
    """The id of `<unk>`, which only the vocabulary tells; 1, as always, where there is none."""
    path = folder / "vocab.json"
    return read_vocabulary(path).get(UNK, 1) if path.is_file() else 1


def architecture(config: _Config, unk: int) -> Architecture:
    """The architecture without the token `<pad>`; raises CheckpointError if it is another one."""
    last = config.vocab_size - 1
    if not config.pad_token_id == config.decoder_start_token_id == last:
        raise CheckpointError(
            f"pad_token_id {config.pad_token_id}, decoder_start_token_id "
            f"{config.decoder_start_token_id}: both must be the last token, {last}"
        )
    return config.architecture(-1, unk, last)


def _canonical(
    architecture: Architecture, vocabulary: int, stored: dict[str, Float32]
) -> dict[str, Float32]:
    """The tensors under their canonical names, without the last of `vocabulary` tokens, `<pad>`."""
    shared = stored.get(SHARED, np.empty((0, 0), np.float32))
    expected = vocabulary, architecture.d_model
    if shared.shape != expected:
        raise CheckpointError(f"{SHARED}: {list(shared.shape)}, expected {list(expected)}")
    if shared[-1].any():
        raise CheckpointError(f"{SHARED}: the embedding of {PAD} is not zero")
    words = shared[:-1]
    tensors = dict.fromkeys(("source_embedding", "target_embedding", "output.weight"), words)
    tensors["positions"] = sinusoids(architecture.max_positions, architecture.d_model)
    if LOGITS_BIAS in stored:
        tensors["output.bias"] = stored[LOGITS_BIAS].ravel()[:-1]
    others = {SHARED, LOGITS_BIAS, *IGNORED}
    return tensors | renamed(stored, stored_names(architecture), others)


def sinusoids(length: int, width: int) -> Float32:
    """sin of every frequency, then cos of every frequency, [length, width], with
    frequency_i = 10000^(-2 i / width), i = 0 .. width/2 - 1: those of transformers, whose
    frequencies are not quite Marian's."""
    frequencies = 10000.0 ** (-2 * np.arange((width + 1) // 2) / width)
    angles = np.arange(length)[:, None] * frequencies
    table = np.concatenate([np.sin(angles), np.cos(angles)[:, : width // 2]], axis=1)
    return table.astype(np.float32)
