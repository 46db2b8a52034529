"""Encoders alone as their papers define them, in float64, written without the importer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from decoder_definitions import Config, Rows, activated, layer_norm
from tiny_encoders import ALBERT_LAYER, HEADS, LAYERS, WIDENING, body

from weights_import.tensors import Float32

DISTIL = {
    "query": "attention.q_lin", "key": "attention.k_lin", "value": "attention.v_lin",
    "output": "attention.out_lin", "norm": "sa_layer_norm", "inner": "ffn.lin1",
    "outer": "ffn.lin2", "last": "output_layer_norm",
}  # fmt: skip
ALBERT = {
    "query": "attention.query", "key": "attention.key", "value": "attention.value",
    "output": "attention.dense", "norm": "attention.LayerNorm", "inner": "ffn",
    "outer": "ffn_output", "last": "full_layer_layer_norm",
}  # fmt: skip
BERT = {
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "output": "attention.output.dense", "norm": "attention.output.LayerNorm",
    "inner": "intermediate.dense", "outer": "output.dense", "last": "output.LayerNorm",
}  # fmt: skip

MPNET = {
    "query": "attention.attn.q", "key": "attention.attn.k", "value": "attention.attn.v",
    "output": "attention.attn.o", "norm": "attention.LayerNorm",
}  # fmt: skip


class Model:
    """A checkpoint and its configuration."""

    def __init__(self, tensors: Mapping[str, Float32], config: Config) -> None:
        self.tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        self.config, self.at = config, body(config)
        self.epsilon = config.get("layer_norm_eps", 1e-12)

    def linear(self, name: str, x: Rows) -> Rows:
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, name: str, x: Rows) -> Rows:
        normed = layer_norm(x, self.epsilon)
        return normed * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def rows(self, ids: Sequence[int]) -> Rows:
        """The last values of the tokens."""
        kind, e = self.config["model_type"], f"{self.at}embeddings."
        bert = kind in ("bert", "distilbert", "electra", "albert")
        first = 0 if bert else self.config["pad_token_id"] + 1
        x = self.tensors[f"{e}word_embeddings.weight"][list(ids)]
        x = x + self.tensors[f"{e}position_embeddings.weight"][first : first + len(ids)]
        if kind not in ("distilbert", "mpnet"):
            x = x + self.tensors[f"{e}token_type_embeddings.weight"][0]
        x = self.norm(f"{e}LayerNorm", x)
        widening = f"{self.at}{WIDENING.get(kind, 'embeddings_project')}"
        if f"{widening}.weight" in self.tensors:
            x = self.linear(widening, x)
        stack, names = ("transformer", DISTIL) if kind == "distilbert" else ("encoder", BERT)
        names, bias = (names | MPNET, self.bias(len(ids))) if kind == "mpnet" else (names, None)
        act = self.config.get("hidden_act", "gelu")
        for i in range(LAYERS):
            n = {part: f"{self.at}{stack}.layer.{i}.{name}" for part, name in names.items()}
            if kind == "albert":
                n = {part: f"{self.at}{ALBERT_LAYER}{name}" for part, name in ALBERT.items()}
            q, k, v = (self.linear(n[p], x) for p in ("query", "key", "value"))
            x = self.norm(n["norm"], x + self.linear(n["output"], seen(q, k, v, bias)))
            hidden = activated(act, self.linear(n["inner"], x))
            x = self.norm(n["last"], x + self.linear(n["outer"], hidden))
        return x

    def bias(self, length: int) -> Rows:
        """The addends of scores [heads, rows, keys] by buckets of distances."""
        table = self.tensors[f"{self.at}encoder.relative_attention_bias.weight"]
        side = len(table) // 2
        found = np.zeros((HEADS, length, length))
        for i in range(length):
            for j in range(length):
                n, exact = abs(j - i), side // 2
                grown = exact + math.log(max(n, 1) / exact) / math.log(128 / exact) * (side - exact)
                bucket = n if n < exact else min(int(grown), side - 1)
                found[:, i, j] = table[bucket + side * (j > i)]
        return found

    def logits(self, ids: Sequence[int]) -> Rows:
        """The logits of the labels."""
        kind, x = self.config["model_type"], self.rows(ids)[0]
        if kind == "albert":
            return self.linear("classifier", np.tanh(self.linear(f"{self.at}pooler", x)))
        if kind == "bert":
            return self.linear("classifier", np.tanh(self.linear(f"{self.at}pooler.dense", x)))
        if kind == "distilbert":
            return self.linear("classifier", np.maximum(self.linear("pre_classifier", x), 0))
        x = self.linear("classifier.dense", x)
        x = activated("gelu", x) if kind == "electra" else np.tanh(x)
        return self.linear("classifier.out_proj", x)


def seen(q: Rows, k: Rows, v: Rows, bias: Rows | None = None) -> Rows:
    """Attention of all tokens to all tokens."""
    heads = [np.split(x, HEADS, axis=1) for x in (q, k, v)]
    out = []
    for h, (a, b, c) in enumerate(zip(*heads, strict=True)):
        scores = a @ b.T / np.sqrt(a.shape[1])
        scores = scores if bias is None else scores + bias[h]
        weights = np.exp(scores - scores.max(1, keepdims=True))
        out.append(weights / weights.sum(1, keepdims=True) @ c)
    return np.concatenate(out, axis=1)


def pooled(rows: Rows, pooling: str) -> Rows:
    """The unit vector of some rows."""
    x = {"mean": rows.mean(0), "cls": rows[0], "last": rows[-1]}[pooling]
    return x / np.sqrt((x**2).sum())
