"""A tiny random checkpoint in the format of transformers' Marian, made without transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from weights_import.tensors import Float32

VOCABULARY = 13  # <pad> is the last one
WIDTH, FFN = 8, 12
CONFIG: dict[str, Any] = {
    "model_type": "marian", "activation_function": "swish", "d_model": WIDTH,
    "add_bias_logits": False, "add_final_layer_norm": False, "architectures": ["MarianMTModel"],
    "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 12, "decoder_start_token_id": 12,
    "decoder_attention_heads": 2, "encoder_attention_heads": 2, "decoder_ffn_dim": FFN,
    "encoder_ffn_dim": FFN, "decoder_layers": 2, "encoder_layers": 2, "dropout": 0.1,
    "max_position_embeddings": 64, "normalize_before": False, "normalize_embedding": False,
    "scale_embedding": True, "static_position_embeddings": True, "vocab_size": VOCABULARY,
}  # fmt: skip


def shapes() -> dict[str, tuple[int, ...]]:
    """Return every tensor of a checkpoint with two encoder layers and two decoder layers."""
    found: dict[str, tuple[int, ...]] = {
        "final_logits_bias": (1, VOCABULARY),
        "model.shared.weight": (VOCABULARY, WIDTH),
    }
    for stack, attentions in (("encoder", ["self"]), ("decoder", ["self", "encoder"])):
        for layer in range(2):
            at = f"model.{stack}.layers.{layer}"
            for attention in attentions:
                for part in ("q", "k", "v", "out"):
                    found[f"{at}.{attention}_attn.{part}_proj.weight"] = (WIDTH, WIDTH)
                    found[f"{at}.{attention}_attn.{part}_proj.bias"] = (WIDTH,)
            found[f"{at}.fc1.weight"], found[f"{at}.fc1.bias"] = (FFN, WIDTH), (FFN,)
            found[f"{at}.fc2.weight"], found[f"{at}.fc2.bias"] = (WIDTH, FFN), (WIDTH,)
            for norm in [*(f"{attention}_attn" for attention in attentions), "final"]:
                found[f"{at}.{norm}_layer_norm.weight"] = (WIDTH,)
                found[f"{at}.{norm}_layer_norm.bias"] = (WIDTH,)
    return found


def tensors(seed: int = 0) -> dict[str, Float32]:
    """Return random tensors.  The embedding of <pad> is zero."""
    random = np.random.default_rng(seed)
    found = {
        name: random.normal(0, 0.7, shape).astype(np.float32)
        for name, shape in sorted(shapes().items())
    }
    found["model.shared.weight"][-1] = 0
    return found


def bart_tensors(seed: int = 0) -> dict[str, Float32]:
    """Return a BART model: every token has an embedding.  A norm follows the learned positions."""
    random = np.random.default_rng(seed + 1)
    found = tensors(seed)
    found["model.shared.weight"] = random.normal(0, 0.7, (VOCABULARY, WIDTH)).astype(np.float32)
    for stack in ("encoder", "decoder"):
        shapes_of = {"embed_positions.weight": (66, WIDTH), "layernorm_embedding.weight": (WIDTH,)}
        for name, shape in (shapes_of | {"layernorm_embedding.bias": (WIDTH,)}).items():
            found[f"model.{stack}.{name}"] = random.normal(0, 0.7, shape).astype(np.float32)
    return found


BART: dict[str, Any] = {
    "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 0, "decoder_start_token_id": 1, "scale_embedding": False,
    "normalize_embedding": True, "static_position_embeddings": False, "forced_bos_token_id": None,
    "forced_eos_token_id": 2,
}  # fmt: skip


def write(folder: Path, content: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write the checkpoint and its configuration.  A change to None removes a key."""
    config = {key: value for key, value in (CONFIG | changes).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    path = folder / "model.safetensors"
    save_file(tensors() if content is None else content, path)
    return path
