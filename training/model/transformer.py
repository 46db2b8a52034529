"""The Transformer: an encoder-decoder, or a decoder alone as a language model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from training.config import Model
from training.model.attention import Attention
from training.model.dropout import Dropout
from training.model.linear import Linear, is_narrow
from training.model.norm import NORMS
from training.model.relu import relu
from training.prepare import PAD

KeysValues = tuple[Tensor, Tensor]
Branch = Callable[[Tensor], Tensor]


class Residual(nn.Module):
    """pre: x + dropout(f(norm(x)));  post: norm(x + dropout(f(x)))."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        self.norm = NORMS[config.norm](config.d_model)
        self.dropout = Dropout(config.dropout)
        self.pre = config.norm_position == "pre"

    def forward(self, x: Tensor, branch: Branch) -> Tensor:
        if self.pre:
            return self.dropout.add(x, branch(self.norm(x)))
        normed: Tensor = self.norm(self.dropout.add(x, branch(x)))
        return normed


class FeedForward(nn.Module):
    """Contract(ReLU(Expand(x)))."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        narrow = is_narrow(config.precision)
        self.expand = Linear(config.d_model, config.ffn, narrow)
        self.contract = Linear(config.ffn, config.d_model, narrow)
        for linear in (self.expand, self.contract):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.contract(relu(self.expand(x)))
        return out


class Layer(nn.Module):
    """Self-attention, attention to the source with `cross`, feed-forward.  Each is a residual."""

    def __init__(self, config: Model, cross: bool) -> None:
        super().__init__()
        self.self_attention, self.self_residual = Attention(config), Residual(config)
        if cross:
            self.cross_attention, self.cross_residual = Attention(config), Residual(config)
        self.feed_forward, self.feed_residual = FeedForward(config), Residual(config)

    def memory(self, encoded: Tensor) -> KeysValues:
        """Return keys and values of the encoded source.  They are computed once a sentence."""
        return self.cross_attention.keys_values(encoded)

    def forward(
        self,
        x: Tensor,
        keep: Tensor | None,
        memory: KeysValues | None = None,
        memory_keep: Tensor | None = None,
        past: KeysValues | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """Return the new states, and the keys and values of all positions so far.

        x is [B, T, d]. memory: keys and values of the source. past: keys and values of earlier
        positions.
        """
        seen: KeysValues

        def attend(y: Tensor) -> Tensor:
            nonlocal seen
            seen = self.self_attention.keys_values(y)
            if past is not None:
                seen = (torch.cat((past[0], seen[0]), 2), torch.cat((past[1], seen[1]), 2))
            out: Tensor = self.self_attention(y, *seen, keep)
            return out

        x = self.self_residual(x, attend)
        if memory is not None:
            x = self.cross_residual(x, lambda y: self.cross_attention(y, *memory, memory_keep))
        x = self.feed_residual(x, self.feed_forward)
        return x, seen


class Stack(nn.Module):
    """Layers, and with pre-norm a last norm."""

    layers: Iterable[Layer]

    def __init__(self, config: Model, layers: int, cross: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(  # type: ignore[assignment]
            Layer(config, cross) for _ in range(layers)
        )
        pre = config.norm_position == "pre"
        self.norm = NORMS[config.norm](config.d_model) if pre else nn.Identity()


def sinusoids(positions: int, width: int) -> Tensor:
    """Return [positions, width]: sin(p w_i) in the first half, cos(p w_i) in the second half.

    w_i = 10000^(-i / (width / 2 - 1))
    """
    half = width // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10000.0) / (half - 1)))
    angles = torch.arange(positions)[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), 1)


class Transformer(nn.Module):
    """One embedding serves source, target and output.  Inputs are sqrt(d) E[id] + sinusoid."""

    positions: Tensor

    def __init__(self, config: Model, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.scale = math.sqrt(config.d_model)
        self.embedding = nn.Embedding(vocabulary, config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        table = sinusoids(config.max_positions, config.d_model)
        self.register_buffer("positions", table, persistent=False)
        self.dropout = Dropout(config.dropout)
        translation = config.encoder_layers > 0
        self.encoder = Stack(config, config.encoder_layers, False) if translation else None
        self.decoder = Stack(config, config.decoder_layers, translation)

    def embed(self, ids: Tensor, start: int = 0) -> Tensor:
        length = ids.shape[1]
        if start + length > len(self.positions):
            raise ValueError(f"{start + length} positions, but the model has {len(self.positions)}")
        states = self.embedding(ids) * self.scale + self.positions[start : start + length]
        out: Tensor = self.dropout(states)
        return out

    def encode(self, source: Tensor) -> tuple[list[KeysValues], Tensor]:
        """Return keys and values of source [B, S] for each decoder layer, and keep [B, 1, 1, S]."""
        assert self.encoder is not None
        keep = (source != PAD).to(torch.get_default_dtype())[:, None, None, :]
        x = self.embed(source)
        for layer in self.encoder.layers:
            x, _ = layer(x, keep)
        x = self.encoder.norm(x)
        return [layer.memory(x) for layer in self.decoder.layers], keep

    def decode(
        self,
        inputs: Tensor,
        memory: list[KeysValues] | None,
        memory_keep: Tensor | None,
        past: list[KeysValues] | None = None,
    ) -> tuple[Tensor, list[KeysValues]]:
        """Return states [B, T, d] for inputs [B, T].  With `past`, T = 1 additional position."""
        start = past[0][0].shape[2] if past else 0
        x = self.embed(inputs, start)
        length = inputs.shape[1]
        keep = torch.ones(length, length).tril() if length > 1 else None
        seen = []
        for place, layer in enumerate(self.decoder.layers):
            keys_values = memory[place] if memory else None
            before = past[place] if past else None
            x, now = layer(x, keep, keys_values, memory_keep, before)
            seen.append(now)
        return self.decoder.norm(x), seen

    def forward(self, source: Tensor | None, inputs: Tensor) -> Tensor:
        """Return decoder states [B, T, d].  The logits are states @ embedding.weight^T."""
        memory, keep = (None, None) if source is None else self.encode(source)
        states, _ = self.decode(inputs, memory, keep)
        return states
