"""More tiny random decoders alone in the formats of transformers, made without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tiny_decoders import (
    COMMON,
    FFN,
    HEADS,
    KEY_HEADS,
    LAYERS,
    LLAMA,
    OPENAI,
    POSITIONS,
    SIZE,
    VOCABULARY,
    WIDTH,
    Config,
    Shapes,
    linear,
    norms,
    opt_layer,
    write_files,
)

from weights_import.tensors import Float32

COHERE: Config = LLAMA | {
    "layer_norm_eps": 1e-5, "logit_scale": 1.5, "rms_norm_eps": None, "tie_word_embeddings": True,
}  # fmt: skip
WINDOWS = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 3}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
CASES: dict[str, Config] = {
    "gpt_bigcode": OPENAI | {
        "model_type": "gpt_bigcode", "activation_function": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    },
    "gpt_bigcode, own keys": OPENAI | {
        "model_type": "gpt_bigcode", "multi_query": False, "n_inner": FFN,
        "scale_attn_weights": False, "tie_word_embeddings": True,
    },
    "codegen": OPENAI | {"model_type": "codegen", "rotary_dim": 4},
    "cohere": COHERE | {"model_type": "cohere"},
    "cohere, norms of heads": COHERE | {"model_type": "cohere", "use_qk_norm": True},
    "cohere2": COHERE | {"model_type": "cohere2"} | WINDOWS,
    "olmo3": LLAMA | {
        "model_type": "olmo3", "rope_parameters": {
            "sliding_attention": {"rope_type": "default", "rope_theta": 500.0},
            "full_attention": YARN | {"rope_theta": 500.0},
        },
    } | WINDOWS,
    "ministral": LLAMA | {"model_type": "ministral", "head_dim": 8} | WINDOWS,
    "seed_oss": LLAMA | {"model_type": "seed_oss", "attention_bias": True, "head_dim": SIZE},
    "helium": LLAMA | {"model_type": "helium", "head_dim": SIZE},
    "ernie4_5": LLAMA | {"model_type": "ernie4_5", "use_bias": True, "head_dim": SIZE},
    "glm": LLAMA | {
        "model_type": "glm", "attention_bias": True, "head_dim": 8, "partial_rotary_factor": 0.5,
    },
    "glm4": LLAMA | {
        "model_type": "glm4", "attention_bias": False, "head_dim": 8, "partial_rotary_factor": 0.5,
    },
    "nemotron": LLAMA | {
        "model_type": "nemotron", "hidden_act": "relu2", "norm_eps": 1e-5,
        "partial_rotary_factor": 0.7, "rms_norm_eps": None,
    },
    "xglm": COMMON | {
        "model_type": "xglm", "activation_function": "gelu", "attention_heads": HEADS,
        "d_model": WIDTH, "decoder_start_token_id": 1, "ffn_dim": FFN,
        "max_position_embeddings": POSITIONS, "num_layers": LAYERS, "tie_word_embeddings": True,
    },
    "arcee": LLAMA | {"model_type": "arcee", "hidden_act": "relu2"},
}  # fmt: skip


def gpt_layer(c: Config) -> Shapes:
    """GPT-BigCode and CodeGen."""
    inner = c.get("n_inner", 4 * WIDTH)
    if c["model_type"] == "codegen":
        return {
            **norms("ln_1"),
            **linear("attn.qkv_proj", 3 * WIDTH, WIDTH, False),
            **linear("attn.out_proj", WIDTH, WIDTH, False),
            **linear("mlp.fc_in", inner, WIDTH, True),
            **linear("mlp.fc_out", WIDTH, inner, True),
        }
    keys = SIZE if c.get("multi_query", True) else WIDTH
    return {
        **norms("ln_1", "ln_2"),
        **linear("attn.c_attn", WIDTH + 2 * keys, WIDTH, True),
        **linear("attn.c_proj", WIDTH, WIDTH, True),
        **linear("mlp.c_fc", inner, WIDTH, True),
        **linear("mlp.c_proj", WIDTH, inner, True),
    }


def llama_layer(c: Config) -> Shapes:
    kind, size, every = c["model_type"], c.get("head_dim", SIZE), c.get("use_bias", False)
    joined = c.get("attention_bias", False) or every
    found: Shapes = {}
    for part, count in (("q", HEADS), ("k", KEY_HEADS), ("v", KEY_HEADS)):
        found |= linear(f"self_attn.{part}_proj", count * size, WIDTH, joined)
        if part != "v" and kind == "olmo3":
            found[f"self_attn.{part}_norm.weight"] = (count * size,)
        if part != "v" and c.get("use_qk_norm"):
            found[f"self_attn.{part}_norm.weight"] = (count, size)
    found |= linear("self_attn.o_proj", WIDTH, HEADS * size, every)
    if kind in ("glm", "glm4"):
        found |= linear("mlp.gate_up_proj", 2 * FFN, WIDTH, False)
    else:
        for part in ("up",) if c["hidden_act"] == "relu2" else ("gate", "up"):
            found |= linear(f"mlp.{part}_proj", FFN, WIDTH, every)
    found |= linear("mlp.down_proj", WIDTH, FFN, every)
    return found | norms(*layer_norms(kind), bias=kind == "nemotron")


def layer_norms(kind: str) -> list[str]:
    if kind.startswith("cohere"):
        return ["input_layernorm"]
    if kind == "olmo3":
        return ["post_attention_layernorm", "post_feedforward_layernorm"]
    more = ["post_self_attn_layernorm", "post_mlp_layernorm"] if kind == "glm4" else []
    return ["input_layernorm", "post_attention_layernorm", *more]


def shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of each tensor of a configuration."""
    kind = c["model_type"]
    gpt = "n_embd" in c
    body, table = ("transformer.", "wte") if gpt else ("model.", "embed_tokens")
    layers = "h" if gpt else "layers"
    yield f"{body}{table}.weight", (VOCABULARY, WIDTH)
    if kind == "gpt_bigcode":
        yield f"{body}wpe.weight", (POSITIONS, WIDTH)
    for i in range(LAYERS):
        layer = opt_layer if kind == "xglm" else gpt_layer if gpt else llama_layer
        for name, shape in layer(c).items():
            yield f"{body}{layers}.{i}.{name}", shape
    name = "layer_norm" if kind == "xglm" else "ln_f" if gpt else "norm"
    last = norms(name, bias=gpt or kind in ("nemotron", "xglm"))
    yield from ((body + name, shape) for name, shape in last.items())
    if not c["tie_word_embeddings"]:
        yield from linear("lm_head", VOCABULARY, WIDTH, kind == "codegen").items()


def tensors(c: Config, seed: int = 0) -> dict[str, Float32]:
    """Return random tensors of a configuration."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(c):
        gain = "norm" in name or ".ln_" in name
        plus = gain and name.endswith("weight") and c["model_type"] != "nemotron"
        found[name] = (random.normal(0, 0.4, shape) + plus).astype(np.float32)
    return found


def write(
    folder: Path, case: str, content: dict[str, Float32] | None = None, **changes: Any
) -> Path:
    """Write the checkpoint and its configuration.  A change to None removes a key."""
    return write_files(folder, CASES[case] | changes, content or tensors(CASES[case]))
