"""Tiny random T5 models in the formats of transformers, made without it, and their definition."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from decoder_definitions import Rows, activated, rms
from safetensors.numpy import save_file

from weights_import.tensors import Float32

VOCABULARY, WIDTH, SIZE, FFN, HEADS, LAYERS, DECODER_LAYERS = 21, 24, 5, 20, 4, 2, 3
BUCKETS, FARTHEST = 8, 20
Config = dict[str, Any]

COMMON: Config = {
    "d_ff": FFN, "d_kv": SIZE, "d_model": WIDTH, "decoder_start_token_id": 0, "eos_token_id": 1,
    "is_encoder_decoder": True, "layer_norm_epsilon": 1e-6, "num_decoder_layers": DECODER_LAYERS,
    "num_heads": HEADS, "num_layers": LAYERS, "pad_token_id": 0,
    "relative_attention_max_distance": FARTHEST, "relative_attention_num_buckets": BUCKETS,
    "vocab_size": VOCABULARY,
}  # fmt: skip
CASES: dict[str, Config] = {
    "t5": COMMON | {"model_type": "t5"},
    "flan": COMMON | {
        "model_type": "t5", "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
    },
    "t5 of transformers 5": COMMON | {
        "model_type": "t5", "feed_forward_proj": "gated-silu", "tie_word_embeddings": True,
        "scale_decoder_outputs": False,
    },
    "mt5": COMMON | {"model_type": "mt5", "relative_attention_num_buckets": 6},
    "umt5": COMMON | {"model_type": "umt5", "tie_word_embeddings": True},
}  # fmt: skip


def own_head(c: Config) -> bool:
    """Return whether the logits have a matrix of their own."""
    return c.get("tie_word_embeddings") is False


def gated(c: Config) -> bool:
    return bool(
        c.get("feed_forward_proj", "relu" if c["model_type"] == "t5" else "gated") != "relu"
    )


def shapes(c: Config) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of each tensor of a configuration."""
    inner = HEADS * SIZE
    yield "shared.weight", (VOCABULARY, WIDTH)
    for stack, layers in (("encoder", LAYERS), ("decoder", DECODER_LAYERS)):
        for i in range(layers):
            at = f"{stack}.block.{i}.layer"
            names = ["SelfAttention"] + ["EncDecAttention"] * (stack == "decoder")
            for number, name in enumerate(names):
                for part in "qkv":
                    yield f"{at}.{number}.{name}.{part}.weight", (inner, WIDTH)
                yield f"{at}.{number}.{name}.o.weight", (WIDTH, inner)
                yield f"{at}.{number}.layer_norm.weight", (WIDTH,)
            if i == 0 or c["model_type"] == "umt5":
                buckets = c["relative_attention_num_buckets"]
                yield f"{at}.0.SelfAttention.relative_attention_bias.weight", (buckets, HEADS)
            ffn = f"{at}.{len(names)}.DenseReluDense"
            for part in ("wi_0", "wi_1") if gated(c) else ("wi",):
                yield f"{ffn}.{part}.weight", (FFN, WIDTH)
            yield f"{ffn}.wo.weight", (WIDTH, FFN)
            yield f"{at}.{len(names)}.layer_norm.weight", (WIDTH,)
        yield f"{stack}.final_layer_norm.weight", (WIDTH,)
    if own_head(c):
        yield "lm_head.weight", (VOCABULARY, WIDTH)


def tensors(c: Config, seed: int = 0) -> dict[str, Float32]:
    """Return random tensors.  Products have about the size of their inputs, and so have scores."""
    random = np.random.default_rng(seed)
    found = {}
    for name, shape in shapes(c):
        size = 1.0 if len(shape) == 1 or "bias" in name else shape[1] ** -0.5
        size *= 0.2 if len(shape) == 1 else SIZE**-0.5 if ".q." in name else 1.0
        found[name] = (random.normal(0, size, shape) + (len(shape) == 1)).astype(np.float32)
    return found


def write(
    folder: Path, case: str, content: dict[str, Float32] | None = None, **changes: Any
) -> Path:
    """Write the checkpoint and its configuration.  A change to None removes a key."""
    config = {key: value for key, value in (CASES[case] | changes).items() if value is not None}
    path = folder / "model.safetensors"
    save_file(tensors(CASES[case]) if content is None else content, path)
    (folder / "config.json").write_text(json.dumps(config))
    return path


def bucket(distance: int, buckets: int, causal: bool) -> int:
    """Return the bucket of the distance from a row to a key, as the paper's code computes it."""
    found = 0
    if not causal:
        buckets //= 2
        found = buckets if distance > 0 else 0
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return found + distance
    share = math.log(distance / exact) / math.log(FARTHEST / exact)
    return found + min(exact + int(share * (buckets - exact) + 1e-9), buckets - 1)


class Definition:
    """T5 in float64: every tensor as the file has it, nothing folded."""

    def __init__(self, stored: dict[str, Float32], c: Config) -> None:
        self.w = {name: x.astype(np.float64) for name, x in stored.items()}
        self.c = c

    def logits(self, source: list[int], previous: list[int]) -> Rows:
        c, table = self.c, self.w["shared.weight"]
        x = self.stack("decoder", table[previous], self.stack("encoder", table[source], None))
        scaled = c.get("scale_decoder_outputs", not own_head(c)) and c["model_type"] != "mt5"
        return x * (WIDTH**-0.5 if scaled else 1.0) @ self.w.get("lm_head.weight", table).T

    def stack(self, name: str, x: Rows, memory: Rows | None) -> Rows:
        for i in range(LAYERS if memory is None else DECODER_LAYERS):
            at = f"{name}.block.{i}.layer"
            y = self.norm(x, f"{at}.0.layer_norm")
            x = x + self.attention(f"{at}.0.SelfAttention", y, y, self.biases(name, i, len(x)))
            if memory is not None:
                y = self.norm(x, f"{at}.1.layer_norm")
                x = x + self.attention(f"{at}.1.EncDecAttention", y, memory, None)
            last = f"{at}.{1 if memory is None else 2}"
            x = x + self.hidden(self.norm(x, f"{last}.layer_norm"), f"{last}.DenseReluDense")
        return self.norm(x, f"{name}.final_layer_norm")

    def norm(self, x: Rows, name: str) -> Rows:
        return rms(x, self.w[f"{name}.weight"], 1e-6)

    def biases(self, stack: str, layer: int, count: int) -> Rows:
        """Return what is added to the scores: [heads, rows, keys]."""
        layer = layer if self.c["model_type"] == "umt5" else 0
        at = f"{stack}.block.{layer}.layer.0.SelfAttention.relative_attention_bias.weight"
        causal, table = stack == "decoder", self.w[at]
        rows = [[bucket(k - q, len(table), causal) for k in range(count)] for q in range(count)]
        hidden = np.triu(np.full((count, count), -np.inf), 1) if causal else 0.0
        return np.moveaxis(table[np.array(rows)], 2, 0) + hidden

    def attention(self, at: str, x: Rows, seen: Rows, biases: Rows | None) -> Rows:
        q, k, v = (
            (rows @ self.w[f"{at}.{part}.weight"].T).reshape(len(rows), HEADS, SIZE)
            for part, rows in zip("qkv", (x, seen, seen), strict=True)
        )
        scores = np.einsum("qhd,khd->hqk", q, k) + (0.0 if biases is None else biases)
        weights = np.exp(scores - scores.max(2, keepdims=True))
        weights /= weights.sum(2, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", weights, v).reshape(len(x), -1)
        found: Rows = mixed @ self.w[f"{at}.o.weight"].T
        return found

    def hidden(self, x: Rows, at: str) -> Rows:
        if not gated(self.c):
            opened = activated("relu", x @ self.w[f"{at}.wi.weight"].T)
        else:
            silu = self.c.get("feed_forward_proj") == "gated-silu"
            opened = activated("silu" if silu else "gelu_tanh", x @ self.w[f"{at}.wi_0.weight"].T)
            opened = opened * (x @ self.w[f"{at}.wi_1.weight"].T)
        found: Rows = opened @ self.w[f"{at}.wo.weight"].T
        return found
