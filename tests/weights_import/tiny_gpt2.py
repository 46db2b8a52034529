"""A tiny random GPT-2 in the format of transformers, made without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from weights_import.tensors import Float32

VOCABULARY, WIDTH, HEADS, LAYERS, POSITIONS = 13, 24, 4, 2, 32
CONFIG: dict[str, Any] = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new",
    "add_cross_attention": False, "attn_pdrop": 0.1, "bos_token_id": 1, "embd_pdrop": 0.1,
    "eos_token_id": 2, "initializer_range": 0.02, "layer_norm_epsilon": 1e-5, "n_ctx": POSITIONS,
    "n_embd": WIDTH, "n_head": HEADS, "n_inner": None, "n_layer": LAYERS, "n_positions": POSITIONS,
    "reorder_and_upcast_attn": False, "resid_pdrop": 0.1, "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True, "tie_word_embeddings": True, "vocab_size": VOCABULARY,
}  # fmt: skip
CHANGES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gelu, inner": {"activation_function": "gelu", "n_inner": 20},
    "relu, untied": {"activation_function": "relu", "tie_word_embeddings": False},
    "scores by layer": {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False},
    "tanh, epsilon": {
        "activation_function": "gelu_pytorch_tanh",
        "layer_norm_epsilon": 0.01,
        "reorder_and_upcast_attn": True,
    },
}


def tensors(config: dict[str, Any], seed: int = 0) -> dict[str, Float32]:
    """Return random tensors of a configuration.  Matrices of layers are [in, out]."""
    random = np.random.default_rng(seed)
    inner = config["n_inner"] or 4 * WIDTH

    def some(*shape: int) -> Float32:
        return random.normal(0, 0.4, shape).astype(np.float32)

    found = {"transformer.wte.weight": some(VOCABULARY, WIDTH)}
    found["transformer.wpe.weight"] = some(POSITIONS, WIDTH)
    products = {
        "attn.c_attn": (WIDTH, 3 * WIDTH),
        "attn.c_proj": (WIDTH, WIDTH),
        "mlp.c_fc": (WIDTH, inner),
        "mlp.c_proj": (inner, WIDTH),
    }
    norms = ["ln_f", *(f"h.{i}.{norm}" for i in range(LAYERS) for norm in ("ln_1", "ln_2"))]
    for norm in norms:
        found[f"transformer.{norm}.weight"] = 1 + some(WIDTH)
        found[f"transformer.{norm}.bias"] = some(WIDTH)
    for i in range(LAYERS):
        for name, shape in products.items():
            found[f"transformer.h.{i}.{name}.weight"] = some(*shape)
            found[f"transformer.h.{i}.{name}.bias"] = some(shape[1])
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = some(VOCABULARY, WIDTH)
    return found


def write(folder: Path, content: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write the checkpoint and its configuration.  A change to None removes a key."""
    config = CONFIG | changes
    path = folder / "model.safetensors"
    save_file(tensors(config) if content is None else content, path, metadata={"format": "pt"})
    kept = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    return path
