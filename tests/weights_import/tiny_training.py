"""A tiny random checkpoint in the format of the training recipe, made without torch."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
from safetensors.numpy import save_file

from weights_import.tensors import Float32

SENTENCES = (
    "The cat sat on the mat.",
    "A dog ran in the sun, and the cat saw it.",
    "We like to eat red fish; do you?",
    "Der Hund lief, und die Katze sah ihn.",
)
KINDS: dict[str, dict[str, Any]] = {
    "integer": {},
    "standard": {"attention": "softmax", "norm": "l2"},
    "post-norm": {"norm_position": "post", "degree": 3},
    "post-norm standard": {"norm_position": "post", "attention": "softmax", "norm": "l2"},
    "degree 1": {"degree": 1, "norm": "l2"},
    "degree 4": {"degree": 4, "attention": "polynomial"},
    "decoder": {"encoder_layers": 0},
    "decoder standard": {"encoder_layers": 0, "attention": "softmax", "norm": "l2"},
}
"""Changes to the architecture of an Integer Transformer."""


@cache
def tokenizer() -> bytes:
    """Return a SentencePiece model of a few dozen pieces: pad 0, unk 1, bos 2, eos 3."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=out, vocab_size=64,
        hard_vocab_limit=False, pad_id=0, unk_id=1, bos_id=2, eos_id=3, num_threads=1,
        minloglevel=2,
    )  # fmt: skip
    return out.getvalue()


def described(**changes: Any) -> dict[str, Any]:
    """Return the architecture of the header."""
    vocabulary = sentencepiece.SentencePieceProcessor(model_proto=tokenizer()).vocab_size()
    shape = {
        "format": "int8ref.training.transformer", "version": 1, "name": "tiny",
        "languages": ["en", "de"], "origin": "random numbers", "licence": "none",
        "vocabulary": vocabulary, "d_model": 16, "heads": 2, "ffn": 24, "ffn_activation": "relu",
        "encoder_layers": 2, "decoder_layers": 2, "attention": "polynomial", "degree": 2,
        "norm": "l1", "norm_position": "pre", "norm_epsilon": 1e-5, "tied_embeddings": True,
        "max_positions": 40, "special": {"pad": 0, "unk": 1, "bos": 2, "eos": 3},
        "source_ends_with_eos": True, "tokenizer": "tiny.tokenizer.model",
    } | changes  # fmt: skip
    translation = shape["encoder_layers"] > 0
    told = {
        "task": "translation" if translation else "language_model",
        "decoder_starts_with": 2 if translation else 3,
        "score_scale": (shape["d_model"] // shape["heads"]) ** -0.5,
        "embedding_scale": shape["d_model"] ** 0.5,
    }
    if shape["attention"] == "softmax":
        shape["degree"] = None
    return told | shape


def tensors(shape: dict[str, Any], seed: int) -> dict[str, Float32]:
    """Return random tensors of an architecture, with the magnitudes of trained tensors."""
    random = np.random.default_rng(seed)
    d, ffn, heads = shape["d_model"], shape["ffn"], shape["heads"]
    found: dict[str, Any] = {}

    def linear(name: str, outputs: int, inputs: int) -> None:
        found[f"{name}.weight"] = random.normal(0, inputs**-0.5, (outputs, inputs))
        found[f"{name}.bias"] = random.normal(0, 0.1, outputs)

    def norm(name: str) -> None:
        found[f"{name}.gain"] = random.uniform(0.5, 1.2, d)
        found[f"{name}.bias"] = random.normal(0, 0.1, d)

    def attention(name: str) -> None:
        for part in ("query", "key", "value", "output"):
            linear(f"{name}.{part}", d, d)
        if shape["attention"] == "polynomial":
            found[f"{name}.weights.shift"] = random.uniform(-0.5, 3, heads)
            found[f"{name}.weights.delta"] = random.uniform(0.02, 1.5, heads)

    found["embedding.weight"] = random.normal(0, d**-0.5, (shape["vocabulary"], d))
    angles = np.arange(shape["max_positions"])[:, None] * np.exp(
        np.arange(d // 2) * (-np.log(10000.0) / (d // 2 - 1))
    )
    found["positions"] = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    for side in ("encoder", "decoder"):
        for layer in range(shape[f"{side}_layers"]):
            at = f"{side}.layers.{layer}"
            cross = side == "decoder" and shape["encoder_layers"] > 0
            for block in ("self", "cross") if cross else ("self",):
                attention(f"{at}.{block}_attention")
                norm(f"{at}.{block}_residual.norm")
            linear(f"{at}.feed_forward.expand", ffn, d)
            linear(f"{at}.feed_forward.contract", d, ffn)
            norm(f"{at}.feed_residual.norm")
        if shape[f"{side}_layers"] and shape["norm_position"] == "pre":
            norm(f"{side}.norm")
    return {name: np.asarray(value, np.float32) for name, value in found.items()}


def write(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Write a checkpoint and its tokenizer into `folder`."""
    shape = described(**changes)
    path = folder / "tiny.safetensors"
    save_file(tensors(shape, seed), path, {"architecture": json.dumps(shape)})
    (folder / shape["tokenizer"]).write_bytes(tokenizer())
    return path
