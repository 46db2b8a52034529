"""Tiny random decoders alone in the formats of transformers, made without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from weights_import.tensors import Float32

VOCABULARY, WIDTH, FFN, HEADS, KEY_HEADS, LAYERS, POSITIONS = 13, 24, 20, 4, 2, 2, 64
SIZE = WIDTH // HEADS
Config = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]

COMMON: Config = {
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "vocab_size": VOCABULARY,
}  # fmt: skip
NAMED: Config = COMMON | {
    "hidden_size": WIDTH, "max_position_embeddings": POSITIONS, "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "tie_word_embeddings": False,
}  # fmt: skip
LLAMA: Config = NAMED | {
    "hidden_act": "silu", "intermediate_size": FFN, "num_key_value_heads": KEY_HEADS,
    "rms_norm_eps": 1e-5, "rope_theta": 500.0,
}  # fmt: skip
OPENAI: Config = COMMON | {
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "n_embd": WIDTH, "n_head": HEADS,
    "n_layer": LAYERS, "n_positions": POSITIONS, "tie_word_embeddings": False,
}  # fmt: skip
FALCON: Config = NAMED | {
    "model_type": "falcon", "activation": "gelu", "alibi": False, "bias": False,
    "layer_norm_epsilon": 1e-5, "multi_query": True, "new_decoder_architecture": False,
    "parallel_attn": True, "rope_theta": 500.0, "tie_word_embeddings": True,
}  # fmt: skip
BLOOM: Config = COMMON | {
    "model_type": "bloom", "hidden_size": WIDTH, "layer_norm_epsilon": 1e-5, "n_head": HEADS,
    "n_layer": LAYERS, "seq_length": POSITIONS, "tie_word_embeddings": True,
}  # fmt: skip
MPT: Config = COMMON | {
    "model_type": "mpt", "attn_config": {"alibi": True}, "d_model": WIDTH,
    "layer_norm_epsilon": 1e-5, "max_seq_len": POSITIONS, "n_heads": HEADS, "n_layers": LAYERS,
    "tie_word_embeddings": True,
}  # fmt: skip
FACTORS = {"short_factor": [1.0, 1.25, 1.75], "long_factor": [1.0, 3.0, 9.0]}
GEMMA: Config = LLAMA | {
    "head_dim": 8, "hidden_act": None, "hidden_activation": "gelu_pytorch_tanh",
    "num_key_value_heads": 1, "query_pre_attn_scalar": 12, "sliding_window": 3,
    "tie_word_embeddings": True,
}  # fmt: skip
CASES: dict[str, Config] = {
    "llama, linear": LLAMA | {
        "model_type": "llama", "rope_scaling": {"type": "linear", "factor": 4.0},
    },
    "llama, llama3": LLAMA | {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32,
        },
    },
    "llama, yarn": LLAMA | {
        "model_type": "llama", "attention_bias": True, "head_dim": 8,
        "rope_scaling": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
        },
    },
    "llama, yarn, mscale": LLAMA | {
        "model_type": "llama",
        "rope_scaling": {
            "rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 16,
            "mscale": 1.0, "mscale_all_dim": 0.5, "beta_fast": 4.0, "beta_slow": 0.5,
            "truncate": False,
        },
    },
    "mistral, own size of heads": LLAMA | {"model_type": "mistral", "head_dim": 4},
    "smollm3": LLAMA | {"model_type": "smollm3", "no_rope_layers": [1, 0]},
    "gemma": LLAMA | {
        "model_type": "gemma", "hidden_act": "gelu", "head_dim": 8, "num_key_value_heads": 1,
        "tie_word_embeddings": True,
    },
    "granite": LLAMA | {
        "model_type": "granite", "attention_bias": True, "attention_multiplier": 0.2,
        "embedding_multiplier": 6.0, "logits_scaling": 4.0, "mlp_bias": True,
        "residual_multiplier": 0.25, "tie_word_embeddings": True,
    },
    "olmo": LLAMA | {"model_type": "olmo", "rms_norm_eps": None, "bos_token_id": None},
    "stablelm": LLAMA | {
        "model_type": "stablelm", "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.4,
        "rms_norm_eps": None,
    },
    "stablelm, norms of heads": LLAMA | {
        "model_type": "stablelm", "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.4,
        "qk_layernorm": True, "rms_norm_eps": None, "use_parallel_residual": True,
        "use_qkv_bias": True,
    },
    "stablelm, parallel": LLAMA | {
        "model_type": "stablelm", "layer_norm_eps": 1e-5, "rms_norm_eps": None,
        "use_parallel_residual": True, "use_qkv_bias": True,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.7,
        },
    },
    "mistral, window": LLAMA | {"model_type": "mistral", "sliding_window": 3},
    "smollm3, window": LLAMA | {
        "model_type": "smollm3", "no_rope_layers": [1, 0], "sliding_window": 4,
        "use_sliding_window": True,
    },
    "qwen2, window": LLAMA | {
        "model_type": "qwen2", "max_window_layers": 1, "sliding_window": 3,
        "use_sliding_window": True,
    },
    "qwen3": LLAMA | {"model_type": "qwen3", "head_dim": 8, "tie_word_embeddings": True},
    "qwen3, window and yarn": LLAMA | {
        "model_type": "qwen3", "attention_bias": True, "head_dim": 4, "sliding_window": 4,
        "layer_types": ["sliding_attention", "full_attention"], "use_sliding_window": True,
        "rope_scaling": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
        },
    },
    "olmo2": LLAMA | {"model_type": "olmo2"},
    "gemma2": GEMMA | {
        "model_type": "gemma2", "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0,
    },
    "gemma3": GEMMA | {
        "model_type": "gemma3_text", "rope_local_base_freq": 100.0, "sliding_window_pattern": 2,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    "gemma3, rope_parameters": GEMMA | {
        "model_type": "gemma3_text", "final_logit_softcapping": 7.0, "rope_theta": None,
        "layer_types": ["full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 900.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 50.0},
        },
    },
    "phi3": LLAMA | {"model_type": "phi3", "sliding_window": 20},
    "phi3, longrope": LLAMA | {
        "model_type": "phi3", "max_position_embeddings": 128,
        "original_max_position_embeddings": 32, "rope_scaling": {"type": "longrope"} | FACTORS,
    },
    "phi": LLAMA | {
        "model_type": "phi", "hidden_act": "gelu_new", "layer_norm_eps": 1e-5,
        "partial_rotary_factor": 0.7, "rms_norm_eps": None,
    },
    "starcoder2": LLAMA | {
        "model_type": "starcoder2", "hidden_act": "gelu_pytorch_tanh", "norm_epsilon": 1e-5,
        "rms_norm_eps": None, "sliding_window": None, "use_bias": True,
    },
    "gpt_neox": NAMED | {
        "model_type": "gpt_neox", "hidden_act": "gelu", "intermediate_size": FFN,
        "layer_norm_eps": 1e-5, "rotary_emb_base": 500, "rotary_pct": 0.7,
    },
    "gpt_neox, in turn": NAMED | {
        "model_type": "gpt_neox", "attention_bias": False, "hidden_act": "gelu_fast",
        "intermediate_size": FFN, "layer_norm_eps": 1e-5, "tie_word_embeddings": True,
        "use_parallel_residual": False,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 1.0,
        },
    },
    "gptj": OPENAI | {"model_type": "gptj", "rotary_dim": 4},
    "gpt_neo": NAMED | {
        "model_type": "gpt_neo", "activation_function": "gelu_new",
        "attention_types": [[["global", "local"], 1]], "layer_norm_epsilon": 1e-5,
        "num_heads": HEADS, "num_layers": LAYERS, "tie_word_embeddings": True, "window_size": 12,
    },
    "falcon": FALCON,
    "falcon, two norms": FALCON | {
        "bias": True, "new_decoder_architecture": True, "num_kv_heads": KEY_HEADS,
    },
    "falcon, one norm": FALCON | {
        "ffn_hidden_size": FFN, "new_decoder_architecture": True, "num_kv_heads": KEY_HEADS,
        "num_ln_in_parallel_attn": 1,
    },
    "falcon, in turn": FALCON | {
        "bias": True, "multi_query": False, "parallel_attn": False, "tie_word_embeddings": False,
    },
    "opt": NAMED | {
        "model_type": "opt", "activation_function": "relu", "ffn_dim": FFN,
        "tie_word_embeddings": True, "word_embed_proj_dim": WIDTH,
    },
    "opt, plain": NAMED | {
        "model_type": "opt", "activation_function": "gelu", "enable_bias": False, "ffn_dim": FFN,
        "layer_norm_elementwise_affine": False, "tie_word_embeddings": True,
    },
    "opt, narrow words": NAMED | {
        "model_type": "opt", "activation_function": "relu", "do_layer_norm_before": False,
        "ffn_dim": FFN, "tie_word_embeddings": True, "word_embed_proj_dim": 10,
    },
    "falcon, linear biases": FALCON | {"alibi": True, "multi_query": False, "bias": True},
    "bloom": BLOOM,
    "bloom, six heads": BLOOM | {"n_head": 6, "tie_word_embeddings": False},
    "mpt": MPT,
    "mpt, six heads": MPT | {
        "n_heads": 6, "attn_config": {"alibi": True, "alibi_bias_max": 8, "softmax_scale": 0.3},
    },
}  # fmt: skip


def linear(name: str, rows: int, columns: int, bias: bool) -> Shapes:
    """Return the shapes of a product."""
    return {f"{name}.weight": (rows, columns)} | ({f"{name}.bias": (rows,)} if bias else {})


def norms(*names: str, bias: bool = True) -> Shapes:
    """Return the shapes of norms."""
    found: Shapes = {f"{name}.weight": (WIDTH,) for name in names}
    return found | ({f"{name}.bias": (WIDTH,) for name in names} if bias else {})


def llama_layer(c: Config) -> Shapes:
    kind, size = c["model_type"], c.get("head_dim", SIZE)
    keys = c["num_key_value_heads"] * size
    joined = c.get("attention_bias", False) or c.get("use_qkv_bias", False) or kind == "qwen2"
    found: Shapes = {}
    if kind == "phi3":
        found |= linear("self_attn.qkv_proj", HEADS * size + 2 * keys, WIDTH, False)
        found |= linear("mlp.gate_up_proj", 2 * FFN, WIDTH, False)
    else:
        for part, rows in (("q", HEADS * size), ("k", keys), ("v", keys)):
            found |= linear(f"self_attn.{part}_proj", rows, WIDTH, joined)
        for part in ("gate", "up"):
            found |= linear(f"mlp.{part}_proj", FFN, WIDTH, c.get("mlp_bias", False))
    found |= linear("self_attn.o_proj", WIDTH, HEADS * size, c.get("attention_bias", False))
    found |= linear("mlp.down_proj", WIDTH, FFN, c.get("mlp_bias", False))
    both = () if c.get("use_parallel_residual") else ("post_attention_layernorm",)
    normed = norms("input_layernorm", *both, bias=kind == "stablelm")
    if kind in ("olmo2", "gemma2", "gemma3_text"):
        normed |= norms("pre_feedforward_layernorm", "post_feedforward_layernorm", bias=False)
    if kind == "olmo2":
        del normed["input_layernorm.weight"], normed["pre_feedforward_layernorm.weight"]
    rows = {"olmo2": (HEADS * size, keys), "qwen3": (size, size), "gemma3_text": (size, size)}
    if c.get("qk_layernorm"):
        for name, count in (("q", HEADS), ("k", c["num_key_value_heads"])):
            at = f"self_attn.{name}_layernorm.norms"
            found |= {f"{at}.{i}.weight": (SIZE,) for i in range(count)}
    heads = zip(("q_norm", "k_norm"), rows.get(kind, ()), strict=False)
    found |= {f"self_attn.{name}.weight": (own,) for name, own in heads}
    return found | ({} if kind == "olmo" else normed)


def code_layer(c: Config) -> Shapes:
    """Phi and StarCoder2."""
    keys = c["num_key_value_heads"] * SIZE
    phi, found = c["model_type"] == "phi", Shapes()
    for part, rows in (("q_proj", WIDTH), ("k_proj", keys), ("v_proj", keys)):
        found |= linear(f"self_attn.{part}", rows, WIDTH, True)
    found |= linear("self_attn.dense" if phi else "self_attn.o_proj", WIDTH, WIDTH, True)
    inner, outer = ("mlp.fc1", "mlp.fc2") if phi else ("mlp.c_fc", "mlp.c_proj")
    found |= linear(inner, FFN, WIDTH, True) | linear(outer, WIDTH, FFN, True)
    both = () if phi else ("post_attention_layernorm",)
    return found | norms("input_layernorm", *both)


def neox_layer(c: Config) -> Shapes:
    bias = c.get("attention_bias", True)
    return {
        **linear("attention.query_key_value", 3 * WIDTH, WIDTH, bias),
        **linear("attention.dense", WIDTH, WIDTH, bias),
        **linear("mlp.dense_h_to_4h", FFN, WIDTH, True),
        **linear("mlp.dense_4h_to_h", WIDTH, FFN, True),
        **norms("input_layernorm", "post_attention_layernorm"),
    }


def gptj_layer(c: Config) -> Shapes:
    found: Shapes = {}
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= linear(f"attn.{part}", WIDTH, WIDTH, False)
    found |= linear("mlp.fc_in", 4 * WIDTH, WIDTH, True)
    return found | linear("mlp.fc_out", WIDTH, 4 * WIDTH, True) | norms("ln_1")


def neo_layer(c: Config) -> Shapes:
    found: Shapes = {}
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= linear(f"attn.attention.{part}", WIDTH, WIDTH, part == "out_proj")
    found |= linear("mlp.c_fc", 4 * WIDTH, WIDTH, True)
    return found | linear("mlp.c_proj", WIDTH, 4 * WIDTH, True) | norms("ln_1", "ln_2")


def falcon_layer(c: Config) -> Shapes:
    many = c["new_decoder_architecture"]
    keys = c["num_kv_heads"] if many else 1 if c["multi_query"] else HEADS
    inner = c.get("ffn_hidden_size", 4 * WIDTH)
    if many and c.get("num_ln_in_parallel_attn", 2) == 2:
        names = ["ln_attn", "ln_mlp"]
    else:
        names = ["input_layernorm"] + ["post_attention_layernorm"] * (not c["parallel_attn"])
    return {
        **linear("self_attention.query_key_value", (HEADS + 2 * keys) * SIZE, WIDTH, c["bias"]),
        **linear("self_attention.dense", WIDTH, WIDTH, c["bias"]),
        **linear("mlp.dense_h_to_4h", inner, WIDTH, c["bias"]),
        **linear("mlp.dense_4h_to_h", WIDTH, inner, c["bias"]),
        **norms(*names),
    }


def opt_layer(c: Config) -> Shapes:
    bias, found = c.get("enable_bias", True), Shapes()
    for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
        found |= linear(f"self_attn.{part}", WIDTH, WIDTH, bias)
    found |= linear("fc1", FFN, WIDTH, bias) | linear("fc2", WIDTH, FFN, bias)
    has = c.get("layer_norm_elementwise_affine", True)
    return found | (norms("self_attn_layer_norm", "final_layer_norm") if has else {})


def bloom_layer(c: Config) -> Shapes:
    return {
        **linear("self_attention.query_key_value", 3 * WIDTH, WIDTH, True),
        **linear("self_attention.dense", WIDTH, WIDTH, True),
        **linear("mlp.dense_h_to_4h", 4 * WIDTH, WIDTH, True),
        **linear("mlp.dense_4h_to_h", WIDTH, 4 * WIDTH, True),
        **norms("input_layernorm", "post_attention_layernorm"),
    }


def mpt_layer(c: Config) -> Shapes:
    return {
        **linear("attn.Wqkv", 3 * WIDTH, WIDTH, False),
        **linear("attn.out_proj", WIDTH, WIDTH, False),
        **linear("ffn.up_proj", 4 * WIDTH, WIDTH, False),
        **linear("ffn.down_proj", WIDTH, 4 * WIDTH, False),
        **norms("norm_1", "norm_2", bias=False),
    }


Layer = Callable[[Config], Shapes]
FORMS: dict[str, tuple[str, str, str, Layer, str]] = {
    "phi": ("model.", "embed_tokens", "layers", code_layer, "final_layernorm"),
    "starcoder2": ("model.", "embed_tokens", "layers", code_layer, "norm"),
    "gpt_neox": ("gpt_neox.", "embed_in", "layers", neox_layer, "final_layer_norm"),
    "gptj": ("transformer.", "wte", "h", gptj_layer, "ln_f"),
    "gpt_neo": ("transformer.", "wte", "h", neo_layer, "ln_f"),
    "falcon": ("transformer.", "word_embeddings", "h", falcon_layer, "ln_f"),
    "opt": ("model.decoder.", "embed_tokens", "layers", opt_layer, "final_layer_norm"),
    "bloom": ("transformer.", "word_embeddings", "h", bloom_layer, "ln_f"),
    "mpt": ("transformer.", "wte", "blocks", mpt_layer, "norm_f"),
}
"""For each kind that is not Llama's: body, table, layers, layer, last norm."""
LIKE_LLAMA = ("model.", "embed_tokens", "layers", llama_layer, "norm")
TABLES = {"gpt_neo": ("wpe", POSITIONS), "opt": ("embed_positions", POSITIONS + 2)}


def shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of each tensor of a configuration."""
    kind = c["model_type"]
    body, table, layers, layer, last = FORMS.get(kind, LIKE_LLAMA)
    narrow = c.get("word_embed_proj_dim", WIDTH)
    yield f"{body}{table}.weight", (VOCABULARY, narrow)
    if narrow != WIDTH:
        yield f"{body}project_in.weight", (WIDTH, narrow)
        yield f"{body}project_out.weight", (narrow, WIDTH)
    if kind in TABLES:
        name, rows = TABLES[kind]
        yield f"{body}{name}.weight", (rows, WIDTH)
    if kind == "bloom":
        yield from norms(f"{body}word_embeddings_layernorm").items()
    for i in range(LAYERS):
        for name, shape in layer(c).items():
            yield f"{body}{layers}.{i}.{name}", shape
    has_last = kind != "olmo" and c.get("do_layer_norm_before", True)
    if has_last and c.get("layer_norm_elementwise_affine", True):
        for name, shape in norms(last, bias=kind in (*FORMS, "stablelm") and kind != "mpt").items():
            yield body + name, shape
    if not c["tie_word_embeddings"]:
        head = "embed_out" if kind == "gpt_neox" else "lm_head"
        yield from linear(head, VOCABULARY, WIDTH, kind in ("gptj", "phi")).items()


def tensors(c: Config, seed: int = 0) -> dict[str, Float32]:
    """Return random tensors of a configuration."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(c):
        plus = not c["model_type"].startswith("gemma")
        gain = len(shape) == 1 and name.endswith("weight") and plus
        found[name] = (random.normal(0, 0.4, shape) + gain).astype(np.float32)
    return found


def write(
    folder: Path, case: str, content: dict[str, Float32] | None = None, **changes: Any
) -> Path:
    """Write the checkpoint and its configuration.  A change to None removes a key."""
    told = CASES[case] | changes
    return write_files(folder, told, tensors(CASES[case]) if content is None else content)


def write_files(folder: Path, config: Config, content: dict[str, Float32]) -> Path:
    """Write tensors and a configuration without the keys that are None."""
    path = folder / "model.safetensors"
    save_file(content, path)
    kept = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    return path
