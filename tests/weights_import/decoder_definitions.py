"""Decoders alone as their papers define them, in float64, written without the importer.

Nothing is folded: factors, norms and turns act on rows, where the papers have them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rope_definitions import angles_of

from weights_import.tensors import Float32, Float64

Config = dict[str, Any]
Rows = Float64


def activated(name: str, x: Rows) -> Rows:
    if name == "relu":
        return np.maximum(x, 0)
    if name == "silu":
        return x / (1 + np.exp(-x))
    if name == "gelu":
        return x / 2 * (1 + np.vectorize(math.erf)(x / 2**0.5))
    return x / 2 * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3)))


def rms(x: Rows, gain: Rows, epsilon: float) -> Rows:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * gain


def layer_norm(x: Rows, epsilon: float) -> Rows:
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)


def slopes(heads: int) -> list[float]:
    """Press et al. 2022, and its extension to other numbers of heads."""
    whole = 2 ** math.floor(math.log2(heads))
    found = [2 ** (-8 * (i + 1) / whole) for i in range(whole)]
    return found + [2 ** (-8 * (i + 0.5) / whole) for i in range(heads - whole)]


def attended(
    q: Rows, k: Rows, v: Rows, factor: float | None = None, biases: list[float] | None = None
) -> Rows:
    """Causal attention of heads [positions, heads, size], of which groups share keys.

    `biases` are what the score of a key loses for each position between it and the row.
    """
    factor = q.shape[-1] ** -0.5 if factor is None else factor
    group = q.shape[1] // k.shape[1]
    out = np.empty_like(q)
    for h in range(q.shape[1]):
        scores = factor * q[:, h] @ k[:, h // group].T
        if biases:
            scores = scores - biases[h] * np.subtract.outer(np.arange(len(q)), np.arange(len(q)))
        weights = np.exp(scores - scores.max(1, keepdims=True)) * np.tri(len(q))
        out[:, h] = weights / weights.sum(1, keepdims=True) @ v[:, h // group]
    return out.reshape(len(q), -1)


def turned(x: Rows, angles: list[float], magnitude: float = 1.0, neighbours: bool = False) -> Rows:
    """Heads [positions, heads, size]: a pair of columns is a complex number, times e^(i angle)."""
    pairs = len(angles)
    first = np.arange(pairs) * 2 if neighbours else np.arange(pairs)
    second = first + (1 if neighbours else pairs)
    turn = magnitude * np.exp(1j * np.outer(np.arange(len(x)), angles))
    points = (x[..., first] + 1j * x[..., second]) * turn[:, None]
    out = x.copy()
    out[..., first], out[..., second] = points.real, points.imag
    return out


class Decoder:
    """The tensors of one checkpoint without the prefix of its body, and what uses them."""

    def __init__(self, stored: dict[str, Float32], c: Config, body: str) -> None:
        self.w = {n.removeprefix(body): x.astype(np.float64) for n, x in stored.items()}
        self.c = c
        self.heads = c.get("num_attention_heads", c.get("n_head", c.get("n_heads")))
        width = c.get("hidden_size", c.get("n_embd", c.get("d_model")))
        self.size = c.get("head_dim", width // self.heads)

    def product(self, x: Rows, name: str) -> Rows:
        return x @ self.w[f"{name}.weight"].T + self.w.get(f"{name}.bias", 0.0)

    def split(self, x: Rows) -> Rows:
        return x.reshape(len(x), -1, self.size)

    def norm(self, x: Rows, name: str) -> Rows:
        epsilon = self.c.get("layer_norm_epsilon", self.c.get("layer_norm_eps", 1e-5))
        y = layer_norm(x, epsilon)
        return y * self.w.get(f"{name}.weight", 1.0) + self.w.get(f"{name}.bias", 0.0)

    def turn(self, x: Rows) -> Rows:
        return turned(x, *angles_of(self.c, self.size))


class Llama(Decoder):
    """Llama, Mistral, SmolLM3, Gemma, Granite, OLMo, StableLM and Phi-3."""

    def norm(self, x: Rows, name: str) -> Rows:
        kind = self.c["model_type"]
        if kind in ("olmo", "stablelm"):
            return super().norm(x, name)
        gain = self.w[f"{name}.weight"] + (kind == "gemma")
        return rms(x, gain, self.c["rms_norm_eps"])

    def attention(self, y: Rows, i: int) -> Rows:
        at = f"layers.{i}.self_attn"
        if self.c["model_type"] == "phi3":
            fused, keys = self.product(y, f"{at}.qkv_proj"), self.c["num_key_value_heads"]
            q, k, v = np.split(self.split(fused), [self.heads, self.heads + keys], axis=1)
        else:
            q, k, v = (self.split(self.product(y, f"{at}.{part}_proj")) for part in "qkv")
        if self.c.get("qk_layernorm"):
            q, k = (self.norm_of_heads(x, f"{at}.{p}_layernorm") for x, p in ((q, "q"), (k, "k")))
        if self.c.get("no_rope_layers", [1] * (i + 1))[i]:
            q, k = self.turn(q), self.turn(k)
        factor = self.c.get("attention_multiplier")
        return self.product(attended(q, k, v, factor), f"{at}.o_proj")

    def norm_of_heads(self, x: Rows, at: str) -> Rows:
        heads = [super(Llama, self).norm(x[:, h], f"{at}.norms.{h}") for h in range(x.shape[1])]
        return np.stack(heads, axis=1)

    def hidden(self, y: Rows, i: int) -> Rows:
        at, act = f"layers.{i}.mlp", self.c["hidden_act"]
        if self.c["model_type"] == "phi3":
            gate, up = np.split(self.product(y, f"{at}.gate_up_proj"), 2, axis=1)
        else:
            gate, up = (self.product(y, f"{at}.{part}_proj") for part in ("gate", "up"))
        act = "gelu_tanh" if self.c["model_type"] == "gemma" else act
        return self.product(activated(act, gate) * up, f"{at}.down_proj")

    def logits(self, ids: list[int]) -> Rows:
        c, w = self.c, self.w
        x = w["embed_tokens.weight"][ids] * c.get("embedding_multiplier", 1.0)
        x = x * (c["hidden_size"] ** 0.5 if c["model_type"] == "gemma" else 1.0)
        factor = c.get("residual_multiplier", 1.0)
        for i in range(c["num_hidden_layers"]):
            y = self.norm(x, f"layers.{i}.input_layernorm")
            attention = factor * self.attention(y, i)
            if c.get("use_parallel_residual"):
                x = x + attention + self.hidden(y, i)
                continue
            x = x + attention
            y = self.norm(x, f"layers.{i}.post_attention_layernorm")
            x = x + factor * self.hidden(y, i)
        head = w.get("lm_head.weight", w["embed_tokens.weight"])
        return self.norm(x, "norm") @ head.T / c.get("logits_scaling", 1.0)


class Code(Decoder):
    """Phi and StarCoder2."""

    def logits(self, ids: list[int]) -> Rows:
        x, phi = self.w["embed_tokens.weight"][ids], self.c["model_type"] == "phi"
        last, output = ("final_layernorm", "dense") if phi else ("norm", "o_proj")
        first, second = ("fc1", "fc2") if phi else ("c_fc", "c_proj")
        for i in range(self.c["num_hidden_layers"]):
            y, at = self.norm(x, f"layers.{i}.input_layernorm"), f"layers.{i}.self_attn"
            q, k, v = (self.split(self.product(y, f"{at}.{p}_proj")) for p in "qkv")
            mixed = attended(self.turn(q), self.turn(k), v)
            x = x + self.product(mixed, f"{at}.{output}")
            y = y if phi else self.norm(x, f"layers.{i}.post_attention_layernorm")
            y = activated("gelu_tanh", self.product(y, f"layers.{i}.mlp.{first}"))
            x = x + self.product(y, f"layers.{i}.mlp.{second}")
        return self.product(self.norm(x, last), "lm_head")


class Neox(Decoder):
    def attention(self, y: Rows, i: int) -> Rows:
        fused = self.product(y, f"layers.{i}.attention.query_key_value")
        q, k, v = np.split(fused.reshape(len(y), self.heads, 3 * self.size), 3, axis=2)
        mixed = attended(self.turn(q), self.turn(k), v)
        return self.product(mixed, f"layers.{i}.attention.dense")

    def hidden(self, y: Rows, i: int) -> Rows:
        opened = activated(self.c["hidden_act"], self.product(y, f"layers.{i}.mlp.dense_h_to_4h"))
        return self.product(opened, f"layers.{i}.mlp.dense_4h_to_h")

    def logits(self, ids: list[int]) -> Rows:
        x = self.w["embed_in.weight"][ids]
        for i in range(self.c["num_hidden_layers"]):
            first, second = "input_layernorm", "post_attention_layernorm"
            attention = self.attention(self.norm(x, f"layers.{i}.{first}"), i)
            read = x if self.c.get("use_parallel_residual", True) else x + attention
            x = x + attention + self.hidden(self.norm(read, f"layers.{i}.{second}"), i)
        head = self.w.get("embed_out.weight", self.w["embed_in.weight"])
        return self.norm(x, "final_layer_norm") @ head.T


class Gptj(Decoder):
    def logits(self, ids: list[int]) -> Rows:
        x, columns = self.w["wte.weight"][ids], self.c["rotary_dim"]
        angles = [10000 ** (-j / columns) for j in range(0, columns, 2)]
        for i in range(self.c["n_layer"]):
            y = self.norm(x, f"h.{i}.ln_1")
            q, k, v = (self.split(self.product(y, f"h.{i}.attn.{p}_proj")) for p in "qkv")
            q, k = (turned(z, angles, neighbours=True) for z in (q, k))
            mixed = self.product(attended(q, k, v), f"h.{i}.attn.out_proj")
            opened = activated("gelu_tanh", self.product(y, f"h.{i}.mlp.fc_in"))
            x = x + mixed + self.product(opened, f"h.{i}.mlp.fc_out")
        return self.product(self.norm(x, "ln_f"), "lm_head")


class Neo(Decoder):
    def logits(self, ids: list[int]) -> Rows:
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][: len(ids)]
        for i in range(self.c["num_layers"]):
            y, at = self.norm(x, f"h.{i}.ln_1"), f"h.{i}.attn.attention"
            q, k, v = (self.split(self.product(y, f"{at}.{p}_proj")) for p in "qkv")
            x = x + self.product(attended(q, k, v, 1.0), f"{at}.out_proj")
            y = self.norm(x, f"h.{i}.ln_2")
            opened = activated("gelu_tanh", self.product(y, f"h.{i}.mlp.c_fc"))
            x = x + self.product(opened, f"h.{i}.mlp.c_proj")
        return self.norm(x, "ln_f") @ self.w["wte.weight"].T


class Falcon(Decoder):
    def attention(self, y: Rows, i: int) -> Rows:
        at, c = f"h.{i}.self_attention", self.c
        many = c["new_decoder_architecture"]
        keys = c["num_kv_heads"] if many else 1 if c["multi_query"] else self.heads
        fused = self.product(y, f"{at}.query_key_value").reshape(len(y), keys, -1, self.size)
        q = fused[:, :, :-2].reshape(len(y), self.heads, self.size)
        k, v = fused[:, :, -2], fused[:, :, -1]
        if c["alibi"]:
            biases = [slope / self.size**0.5 for slope in slopes(self.heads)]
            return self.product(attended(q, k, v, biases=biases), f"{at}.dense")
        return self.product(attended(self.turn(q), self.turn(k), v), f"{at}.dense")

    def hidden(self, y: Rows, i: int) -> Rows:
        opened = activated("gelu", self.product(y, f"h.{i}.mlp.dense_h_to_4h"))
        return self.product(opened, f"h.{i}.mlp.dense_4h_to_h")

    def logits(self, ids: list[int]) -> Rows:
        x, table = self.w["word_embeddings.weight"][ids], self.w["word_embeddings.weight"]
        for i in range(self.c["num_hidden_layers"]):
            if f"h.{i}.ln_attn.weight" in self.w:
                attention = self.attention(self.norm(x, f"h.{i}.ln_attn"), i)
                x = x + attention + self.hidden(self.norm(x, f"h.{i}.ln_mlp"), i)
                continue
            y = self.norm(x, f"h.{i}.input_layernorm")
            x = x + self.attention(y, i)
            if not self.c["parallel_attn"]:
                y = self.norm(x, f"h.{i}.post_attention_layernorm")
            x = x + self.hidden(y, i)
        return self.norm(x, "ln_f") @ self.w.get("lm_head.weight", table).T


class Opt(Decoder):
    def logits(self, ids: list[int]) -> Rows:
        x, narrow = self.w["embed_tokens.weight"][ids], "project_in.weight" in self.w
        x = self.product(x, "project_in") if narrow else x
        x = x + self.w["embed_positions.weight"][2 : 2 + len(ids)]
        before = self.c.get("do_layer_norm_before", True)
        for i in range(self.c["num_hidden_layers"]):
            at = f"layers.{i}.self_attn"
            y = self.norm(x, f"{at}_layer_norm") if before else x
            q, k, v = (self.split(self.product(y, f"{at}.{p}_proj")) for p in "qkv")
            x = x + self.product(attended(q, k, v), f"{at}.out_proj")
            x = x if before else self.norm(x, f"{at}_layer_norm")
            y = self.norm(x, f"layers.{i}.final_layer_norm") if before else x
            y = activated(self.c["activation_function"], self.product(y, f"layers.{i}.fc1"))
            x = x + self.product(y, f"layers.{i}.fc2")
            x = x if before else self.norm(x, f"layers.{i}.final_layer_norm")
        x = self.norm(x, "final_layer_norm") if before else x
        x = self.product(x, "project_out") if narrow else x
        return x @ self.w["embed_tokens.weight"].T


class Bloom(Decoder):
    def logits(self, ids: list[int]) -> Rows:
        table = self.w["word_embeddings.weight"]
        x = self.norm(table[ids], "word_embeddings_layernorm")
        for i in range(self.c["n_layer"]):
            y, at = self.norm(x, f"h.{i}.input_layernorm"), f"h.{i}.self_attention"
            fused = self.product(y, f"{at}.query_key_value")
            q, k, v = np.moveaxis(fused.reshape(len(ids), self.heads, 3, self.size), 2, 0)
            mixed = attended(q, k, v, biases=slopes(self.heads))
            x = x + self.product(mixed, f"{at}.dense")
            y = self.norm(x, f"h.{i}.post_attention_layernorm")
            opened = activated("gelu_tanh", self.product(y, f"h.{i}.mlp.dense_h_to_4h"))
            x = x + self.product(opened, f"h.{i}.mlp.dense_4h_to_h")
        return self.norm(x, "ln_f") @ self.w.get("lm_head.weight", table).T


class Mpt(Decoder):
    def logits(self, ids: list[int]) -> Rows:
        x, told = self.w["wte.weight"][ids], self.c["attn_config"]
        biases = slopes(self.heads)
        for i in range(self.c["n_layers"]):
            y, at = self.norm(x, f"blocks.{i}.norm_1"), f"blocks.{i}"
            q, k, v = map(self.split, np.split(self.product(y, f"{at}.attn.Wqkv"), 3, axis=1))
            mixed = attended(q, k, v, told.get("softmax_scale"), biases)
            x = x + self.product(mixed, f"{at}.attn.out_proj")
            y = self.product(self.norm(x, f"{at}.norm_2"), f"{at}.ffn.up_proj")
            x = x + self.product(activated("gelu", y), f"{at}.ffn.down_proj")
        return self.norm(x, "norm_f") @ self.w["wte.weight"].T


KINDS: dict[str, tuple[type[Any], str]] = {
    "phi": (Code, "model."),
    "starcoder2": (Code, "model."),
    "gpt_neox": (Neox, "gpt_neox."),
    "gptj": (Gptj, "transformer."),
    "gpt_neo": (Neo, "transformer."),
    "falcon": (Falcon, "transformer."),
    "opt": (Opt, "model.decoder."),
    "bloom": (Bloom, "transformer."),
    "mpt": (Mpt, "transformer."),
}


def defined_by(stored: dict[str, Float32], c: Config, ids: list[int]) -> Rows:
    """Return the logits [positions, vocabulary] of a text."""
    kind, body = KINDS.get(c["model_type"], (Llama, "model."))
    found: Rows = kind(stored, c, body).logits(ids)
    return found
