"""A tiny random Llama in the formats of transformers and of llama2.c, made without either."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from weights_import.tensors import Float32

VOCABULARY, WIDTH, FFN, HEADS, KEY_HEADS, LAYERS, POSITIONS = 13, 24, 20, 4, 2, 2, 64
HEAD_SIZE = WIDTH // HEADS
CONFIG: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": False,
    "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": WIDTH,
    "intermediate_size": FFN, "max_position_embeddings": POSITIONS, "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS, "num_key_value_heads": KEY_HEADS, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "rope_scaling": None, "tie_word_embeddings": False,
    "vocab_size": VOCABULARY, "torch_dtype": "float32",
}  # fmt: skip
CHANGES: dict[str, dict[str, Any]] = {
    "llama": {},
    "tied, own heads": {"tie_word_embeddings": True, "num_key_value_heads": HEADS},
    "biases, another base": {"attention_bias": True, "mlp_bias": True, "rope_theta": 500.0},
    "gelu, newer positions": {
        "hidden_act": "gelu",
        "rope_theta": 100.0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
    },
    "mistral": {
        "model_type": "mistral",
        "architectures": ["MistralForCausalLM"],
        "sliding_window": 32,
    },
}
QWEN2: dict[str, Any] = {
    "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "attention_bias": None,
    "max_window_layers": 28, "rope_theta": 1000000.0, "sliding_window": 32,
    "use_sliding_window": False,
}  # fmt: skip
PARTS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
         "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip
NORMS = ("input_layernorm", "post_attention_layernorm")


def tensors(config: dict[str, Any], seed: int = 0) -> dict[str, Float32]:
    """Return random tensors of a configuration."""
    random = np.random.default_rng(seed)

    def some(*shape: int) -> Float32:
        return random.normal(0, 0.5, shape).astype(np.float32)

    keys = config["num_key_value_heads"] * HEAD_SIZE
    shapes = dict(zip(PARTS, [(WIDTH, WIDTH), (keys, WIDTH), (keys, WIDTH), (WIDTH, WIDTH),
                              (FFN, WIDTH), (FFN, WIDTH), (WIDTH, FFN)], strict=True))  # fmt: skip
    found = {"model.embed_tokens.weight": some(VOCABULARY, WIDTH)}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        for part, shape in shapes.items():
            found[f"{at}.{part}.weight"] = some(*shape)
            if part in biased(config):
                found[f"{at}.{part}.bias"] = some(shape[0])
        found |= {f"{at}.{norm}.weight": 1 + some(WIDTH) for norm in NORMS}
    found["model.norm.weight"] = 1 + some(WIDTH)
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = some(VOCABULARY, WIDTH)
    return found


def biased(config: dict[str, Any]) -> tuple[str, ...]:
    """Return the parts that have biases."""
    if config["model_type"] == "qwen2":
        return PARTS[:3]
    attention = PARTS[:4] if config.get("attention_bias") else ()
    return attention + (PARTS[4:] if config.get("mlp_bias") else ())


def write(folder: Path, **changes: Any) -> Path:
    """Write the checkpoint and its configuration.  A change to None removes a key."""
    config = CONFIG | changes
    path = folder / "model.safetensors"
    save_file(tensors(config), path, metadata={"format": "pt"})
    kept = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    return path


def write_llama2c(folder: Path, version: int = 0, tied: bool = False) -> Path:
    """Write the same model for llama2.c, in the first layout or version 1, and a tokenizer."""
    stored = tensors(CONFIG | {"tie_word_embeddings": tied})
    sizes = [WIDTH, FFN, LAYERS, HEADS, KEY_HEADS, VOCABULARY, POSITIONS]
    if version:
        header = struct.pack("<I8iB", 0x616B3432, version, *sizes, tied).ljust(256, b"\0")
    else:
        sizes[5] *= 1 if tied else -1
        header = struct.pack("<7i", *sizes)
    parts = b"".join(part.astype("<f4").tobytes() for part in in_order(stored, version))
    path = folder / "model.bin"
    path.write_bytes(header + parts)
    (folder / "tokenizer.bin").write_bytes(tokenizer())
    return path


def in_order(stored: dict[str, Float32], version: int) -> Iterator[Float32]:
    """Yield the tensors in llama2.c's order: each kind of tensor for all layers."""

    def of(part: str) -> list[Float32]:
        return [stored[f"model.layers.{layer}.{part}.weight"] for layer in range(LAYERS)]

    table, last = stored["model.embed_tokens.weight"], stored["model.norm.weight"]
    query, key, value, output, gate, up, down = map(of, PARTS)
    query, key = ([side_by_side(weight) for weight in part] for part in (query, key))
    attention, feed_forward = of(NORMS[0]), of(NORMS[1])
    if version:
        yield from [*attention, *feed_forward, last, table]
        yield from [*query, *key, *value, *output, *gate, *down, *up]
    else:
        yield from [table, *attention, *query, *key, *value, *output, *feed_forward]
        yield from [*gate, *down, *up, last]
        yield np.full((2, POSITIONS, HEAD_SIZE // 2), 9, np.float32)  # unused
    if "lm_head.weight" in stored:
        yield stored["lm_head.weight"]


def side_by_side(weight: Float32) -> Float32:
    """Reorder the rows of each head: the two rows of a pair become neighbours."""
    heads = weight.reshape(-1, 2, HEAD_SIZE // 2, WIDTH)
    return heads.transpose(0, 2, 1, 3).reshape(weight.shape)


def tokenizer() -> bytes:
    """Return thirteen pieces: three special pieces, letters, and pairs of letters."""
    names = [b"<unk>", b"\n<s>\n", b"\n</s>\n", b" ", b"a", b"b", b"c", b"d", b"e", b"f", b"g"]
    names += [b"ab", b" ab"]
    pieces = b"".join(struct.pack("<fI", -i, len(name)) + name for i, name in enumerate(names))
    return struct.pack("<I", max(map(len, names))) + pieces
