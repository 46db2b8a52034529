"""A slow forward pass in NumPy, from an exported file alone, without torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

Array = NDArray[np.float64]


class FileModel:
    """A slow forward pass of one sentence, from the file alone."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "np") as file:
            self.shape = json.loads(file.metadata()["architecture"])
            names = list(file.keys())
            self.tensors = {k: file.get_tensor(k).astype(np.float64) for k in names}

    def linear(self, name: str, x: Array) -> Array:
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def norm(self, name: str, x: Array) -> Array:
        centred, epsilon = x - x.mean(-1, keepdims=True), self.shape["norm_epsilon"]
        if self.shape["norm"] == "l1":
            spread = np.abs(centred).mean(-1, keepdims=True) + epsilon
        else:
            spread = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return self.tensors[f"{name}.gain"] * centred / spread + self.tensors[f"{name}.bias"]

    def attention(self, name: str, x: Array, memory: Array, keep: Array) -> Array:
        def heads(y: Array) -> Array:
            return y.reshape(len(y), self.shape["heads"], -1).swapaxes(0, 1)

        q, k, v = (
            heads(self.linear(f"{name}.{part}", y))
            for part, y in (("query", x), ("key", memory), ("value", memory))
        )
        scores = q @ k.swapaxes(1, 2) * self.shape["score_scale"]
        if self.shape["attention"] == "polynomial":
            b = self.tensors[f"{name}.weights.shift"][:, None, None]
            delta = self.tensors[f"{name}.weights.delta"][:, None, None]
            p = (np.maximum(scores + b, 0) ** self.shape["degree"] + delta) * keep
        else:
            p = np.exp(scores) * keep
        mixed = (p / p.sum(-1, keepdims=True)) @ v
        return self.linear(f"{name}.output", mixed.swapaxes(0, 1).reshape(len(x), -1))

    def stack(self, side: str, ids: list[int], memory: Array | None) -> Array:
        x = self.tensors["embedding.weight"][ids] * self.shape["embedding_scale"]
        x = x + self.tensors["positions"][: len(ids)]
        keep = np.ones((len(ids), len(ids)))
        if side == "decoder":
            keep = np.tril(keep)

        def residual(name: str, x: Array, branch: object) -> Array:
            if self.shape["norm_position"] == "pre":
                return x + branch(self.norm(f"{name}.norm", x))  # type: ignore[operator]
            return self.norm(f"{name}.norm", x + branch(x))  # type: ignore[operator]

        for place in range(self.shape[f"{side}_layers"]):
            at = f"{side}.layers.{place}"
            name = f"{at}.self_attention"
            x = residual(f"{at}.self_residual", x, lambda y, n=name: self.attention(n, y, y, keep))
            if memory is not None:
                name, seen = f"{at}.cross_attention", np.ones((len(ids), len(memory)))
                x = residual(
                    f"{at}.cross_residual",
                    x,
                    lambda y, n=name, s=seen: self.attention(n, y, memory, s),
                )
            x = residual(
                f"{at}.feed_residual",
                x,
                lambda y, a=at: self.linear(
                    f"{a}.feed_forward.contract",
                    np.maximum(self.linear(f"{a}.feed_forward.expand", y), 0),
                ),
            )
        return self.norm(f"{side}.norm", x) if self.shape["norm_position"] == "pre" else x

    def logits(self, source: list[int] | None, inputs: list[int]) -> Array:
        memory = None if source is None else self.stack("encoder", source, None)
        return self.stack("decoder", inputs, memory) @ self.tensors["embedding.weight"].T
