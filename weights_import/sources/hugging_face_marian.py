"""Marian models as Hugging Face's transformers keeps them, such as OPUS-MT: `model.safetensors`,
and beside it `config.json`, `source.spm`, `target.spm` and `vocab.json`, or a vocabulary a side,
`vocab.json` and `target_vocab.json`.

The token `<pad>` is one that transformers adds to Marian's: the decoder begins with it, and no
search may choose it.  Where its embedding is zero and it is the last token, the model is Marian's
without it, whose decoder begins with the zero vector.  Training in transformers gives it another
embedding; then it stays, and the bias of the output keeps it below the end mark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from weights_import.float_model import Architecture, CheckpointError, Float32, FloatModel
from weights_import.sources.hugging_face import (
    LAYER,
    LOGITS_BIAS,
    POSITIONS,
    TOLD,
    Shape,
    canonical,
    check_words,
    embeddings,
    named,
    stored_names,
)
from weights_import.sources.hugging_face_config import (
    Marks,
    added_tokens,
    beside,
    model_type,
    read_config,
    refuse_added,
)
from weights_import.sources.safetensors_file import Size, Tensors, contents
from weights_import.sources.tokenizers import read_vocabulary, tokenizer_files, tokenizers_in

FORMAT = "Hugging Face Marian (.safetensors and config.json)"
KINDS = ("marian",)
PAD, UNK = "<pad>", "<unk>"
SIDES = ("source_embedding", "target_embedding")
MARGIN = 20.0
"""How far the logit of `<pad>` stays below that of the end mark, at least."""
CLOSE = 1e-2
"""What a stored table may differ from sinusoids by: more than 16 bits round off."""


class _Config(Shape, frozen=True, kw_only=True):
    """What is read of a configuration of Marian's."""

    model_type: Literal["marian"]
    decoder_vocab_size: Size | None = None
    normalize_embedding: Literal[False] = False
    share_encoder_decoder_embeddings: bool = True
    static_position_embeddings: Literal[True] = True

    @property
    def vocabularies(self) -> tuple[int, int]:
        """The sizes of both sides."""
        if self.share_encoder_decoder_embeddings:
            return self.vocab_size, self.vocab_size
        return self.vocab_size, self.decoder_vocab_size or self.vocab_size


def recognises(path: Path) -> bool:
    """Whether the file is a safetensors of this kind, with its configuration beside it."""
    return model_type(path, LAYER) in KINDS


def companions(path: Path) -> list[Path]:
    """Its configurations and its tokenizers."""
    return [*beside(path), *tokenizer_files(path.parent)]


def read(path: Path) -> FloatModel:
    """Reads a checkpoint with the files beside it; raises CheckpointError with what is wrong."""
    try:
        config = read_config(path, _Config)
        known = vocabulary(path.parent)
        refuse_added(added_tokens(path.parent), known)
        marks = Marks(config.eos_token_id)
        eos = marks.chosen(known.get("</s>"))
        content = contents(path)
        stored = named(content.tensors)
        words = embeddings(
            stored, config.tie_word_embeddings, config.share_encoder_decoder_embeddings
        )
        check_words(words, dict(zip(SIDES, config.vocabularies, strict=True)), config.d_model)
        pad = padding(config, words)
        unused, controls = ((PAD,), ()) if pad < 0 else ((), (PAD,))
        shape = architecture(config, pad, eos, known.get(UNK, 1))
        tensors = {**words, **positions(shape, stored)}
        if LOGITS_BIAS in stored:
            tensors["output.bias"] = stored[LOGITS_BIAS].ravel()
        if pad < 0:
            tensors = without_padding(tensors)
        tensors |= canonical(stored, stored_names(shape), TOLD)
        if pad >= 0:
            keep_below(tensors, pad, shape)
        model = FloatModel(
            shape,
            tensors,
            tokenizers=tokenizers_in(path.parent, unused, controls),
            provenance={
                "file": path.name,
                "format": "Hugging Face Marian",
                "sha256": content.sha256,
            },
            warnings=marks.warnings,
        )
        model.validate()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return model


def vocabulary(folder: Path) -> dict[str, int]:
    """The ids of the source's tokens, as far as a file tells them."""
    path = folder / "vocab.json"
    return read_vocabulary(path) if path.is_file() else {}


def padding(config: _Config, words: Tensors) -> int:
    """The id of `<pad>`, with which the decoder begins; -1 where the model is Marian's without it.

    Raises CheckpointError where the decoder begins with another token.
    """
    pad = config.pad_token_id
    if pad != config.decoder_start_token_id or pad >= min(config.vocabularies):
        raise CheckpointError(
            f"pad_token_id {pad}, decoder_start_token_id {config.decoder_start_token_id}: both"
            f" must be one token of {min(config.vocabularies)}"
        )
    target = words.get("target_embedding")
    last = config.vocabularies == (pad + 1, pad + 1)
    return -1 if last and (target is None or not target[pad].any()) else pad


def architecture(config: _Config, pad: int, eos: int, unk: int) -> Architecture:
    """The architecture, without the token `<pad>` where the model can do without it."""
    source, target = config.vocabularies
    left_out = 1 if pad < 0 else 0
    return config.architecture(pad, eos, unk, (source - left_out, target - left_out))


def without_padding(tensors: Tensors) -> Tensors:
    """The tensors without what the last token has of them; those that are one stay one."""
    cut = {
        id(tensor): tensor[:-1] if tensor.ndim else tensor
        for name, tensor in tensors.items()
        if name in (*SIDES, "output.weight", "output.bias")
    }
    return {name: cut.get(id(tensor), tensor) for name, tensor in tensors.items()}


def keep_below(tensors: Tensors, pad: int, architecture: Architecture) -> None:
    """Lower the bias of `pad` until its logit is below that of the end mark by MARGIN, whatever the
    decoder says.

    What the output multiplies is gain * z + bias of the last norm, with |z| <= sqrt(d).  For the
    difference w of two rows the logits differ by at most |w * gain| sqrt(d) + w . bias.
    """
    last = f"decoder.{architecture.decoder_layers - 1}.ffn.norm"
    rows, gain, shift = (
        tensors.get(name) for name in ("output.weight", f"{last}.gain", f"{last}.bias")
    )
    size = architecture.target_vocabulary, architecture.d_model
    if rows is None or gain is None or shift is None:
        return  # `FloatModel.validate` tells what is missing or misshapen.
    if rows.shape != size or {gain.shape, shift.shape} != {size[1:]}:
        return
    eos = architecture.eos
    apart = rows[pad].astype(np.float64) - rows[eos]
    most = np.linalg.norm(apart * gain) * size[1] ** 0.5 + apart @ shift
    bias = tensors.get("output.bias", np.zeros(size[0], np.float32)).copy()
    if bias.shape == size[:1]:
        bias[pad] = min(bias[pad], bias[eos] - max(most, 0.0) - MARGIN)
    tensors["output.bias"] = bias


def positions(architecture: Architecture, stored: Tensors) -> Tensors:
    """The tables of positions: sinusoids, or what is stored where it differs from them."""
    made = sinusoids(architecture.max_positions, architecture.d_model)

    def table(name: str) -> Float32:
        found = stored.get(name, made)
        same = found.shape == made.shape and np.allclose(found, made, rtol=0, atol=CLOSE)
        return made if same else found

    source, target = map(table, POSITIONS)
    return {"positions": source} | ({} if target is source else {"target_positions": target})


def sinusoids(length: int, width: int) -> Float32:
    """sin of every frequency, then cos of every frequency, [length, width], with
    frequency_i = 10000^(-2 i / width), i = 0 .. width/2 - 1: those of transformers, whose
    frequencies are not quite Marian's."""
    frequencies = 10000.0 ** (-2 * np.arange((width + 1) // 2) / width)
    angles = np.arange(length)[:, None] * frequencies
    table = np.concatenate([np.sin(angles), np.cos(angles)[:, : width // 2]], axis=1)
    return table.astype(np.float32)
