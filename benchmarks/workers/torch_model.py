"""The Transformer of random weights in PyTorch, with fused projections and a key/value cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Cache = list[tuple[torch.Tensor, torch.Tensor]]


class Parts:
    """Makes modules from weights.npz."""

    def __init__(self, weights: Any, heads: int) -> None:
        self._weights = weights
        self.heads = heads

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self._weights[name])

    def linear(self, *names: str) -> nn.Linear:
        weight = torch.cat([self.tensor(f"{name}.weight") for name in names])
        made = nn.Linear(weight.shape[1], weight.shape[0])
        made.weight.data = weight
        made.bias.data = torch.cat([self.tensor(f"{name}.bias") for name in names])
        return made

    def norm(self, name: str) -> nn.LayerNorm:
        gain = self.tensor(f"{name}.norm.gain")
        made = nn.LayerNorm(len(gain))
        made.weight.data, made.bias.data = gain, self.tensor(f"{name}.norm.bias")
        return made


class Attention(nn.Module):
    """Softmax attention with its output projection, residual and layer norm."""

    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__()
        self.heads = parts.heads
        self.output = parts.linear(f"{name}.output")
        self.norm = parts.norm(name)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[rows, tokens, d] -> [rows, heads, tokens, d / heads]."""
        rows, tokens, width = x.shape
        return x.view(rows, tokens, self.heads, width // self.heads).transpose(1, 2)

    def mix(
        self, x: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> torch.Tensor:
        scores = torch.matmul(query, key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        mixed = torch.matmul(torch.softmax(scores, -1), value)
        return self.norm(x + self.output(mixed.transpose(1, 2).reshape(x.shape)))


class SelfAttention(Attention):
    """One product computes queries, keys and values."""

    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__(parts, name)
        self.projection = parts.linear(*(f"{name}.{part}" for part in ("query", "key", "value")))

    def operands(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.split(part) for part in self.projection(x).split(x.shape[-1], -1)]


class CrossAttention(Attention):
    """One product computes keys and values of the encoder output.  Another computes the queries."""

    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__(parts, name)
        self.query = parts.linear(f"{name}.query")
        self.memory = parts.linear(f"{name}.key", f"{name}.value")

    def keys_and_values(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        key, value = self.memory(x).split(x.shape[-1], -1)
        return self.split(key), self.split(value)


class FeedForward(nn.Module):
    """norm(x + outer(relu(inner(x))))."""

    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__()
        self.inner = parts.linear(f"{name}.inner")
        self.outer = parts.linear(f"{name}.outer")
        self.norm = parts.norm(name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.outer(functional.relu(self.inner(x))))


class EncoderLayer(nn.Module):
    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__()
        self.self_attention = SelfAttention(parts, f"{name}.self")
        self.feed_forward = FeedForward(parts, f"{name}.ffn")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.self_attention.mix(x, *self.self_attention.operands(x))
        return self.feed_forward(x)


class DecoderLayer(nn.Module):
    def __init__(self, parts: Parts, name: str) -> None:
        super().__init__()
        self.self_attention = SelfAttention(parts, f"{name}.self")
        self.cross_attention = CrossAttention(parts, f"{name}.cross")
        self.feed_forward = FeedForward(parts, f"{name}.ffn")

    def forward(
        self,
        x: torch.Tensor,
        memory: tuple[torch.Tensor, torch.Tensor],
        past: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        query, *new = self.self_attention.operands(x)
        key, value = (torch.cat(pair, 2) for pair in zip(past, new, strict=True))
        x = self.self_attention.mix(x, query, key, value)
        query = self.cross_attention.split(self.cross_attention.query(x))
        x = self.cross_attention.mix(x, query, *memory)
        return self.feed_forward(x), (key, value)


class Transformer(nn.Module):
    """Post-norm.  The target embedding has an additional row: the start, a zero vector."""

    def __init__(self, path: Any, heads: int) -> None:
        super().__init__()
        with np.load(path) as weights:
            parts = Parts(weights, heads)
            d = weights["positions"].shape[1]
            layers = [
                name.split(".")[:2] for name in weights.files if name.endswith("ffn.norm.gain")
            ]
            self.scale = math.sqrt(d)
            self.source = nn.Embedding.from_pretrained(parts.tensor("source_embedding"))
            start = torch.zeros(1, d)
            table = torch.cat([parts.tensor("target_embedding"), start])
            self.target = nn.Embedding.from_pretrained(table)
            self.positions = nn.Parameter(parts.tensor("positions"), requires_grad=False)
            self.encoder, self.decoder = (
                nn.ModuleList([kind(parts, f"{s}.{i}") for s, i in layers if s == stack])
                for stack, kind in (("encoder", EncoderLayer), ("decoder", DecoderLayer))
            )
            self.output = parts.linear("output")
        self.heads, self.head_size = heads, d // heads

    def encode(self, ids: torch.Tensor) -> Cache:
        """Return the keys and values of the source for each decoder layer."""
        x = self.source(ids) * self.scale + self.positions[: ids.shape[1]]
        for layer in self.encoder:
            x = layer(x)
        return [layer.cross_attention.keys_and_values(x) for layer in self.decoder]

    def step(
        self, ids: torch.Tensor, position: Any, memory: Cache, past: Cache
    ) -> tuple[torch.Tensor, Cache]:
        """Return the logits of the next token, and the extended cache."""
        x = (self.target(ids) * self.scale + self.positions[position]).unsqueeze(1)
        new = []
        for layer, keys_and_values, before in zip(self.decoder, memory, past, strict=True):
            x, after = layer(x, keys_and_values, before)
            new.append(after)
        return self.output(x[:, 0]), new
