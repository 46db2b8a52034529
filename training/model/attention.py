"""Multi-head attention with softmax weights or polynomial weights.  All other parts are shared."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.config import Model
from training.model.linear import Linear, is_narrow
from training.model.relu import relu

# The lower bound of |delta|.  With degree 2 and scores quantised to 8 bits over +-16, a step of the
# polynomial is 1/64.  Therefore the smallest delta is still one unit in fixed point.
DELTA_FLOOR = 2.0**-6


class SoftmaxWeights(nn.Module):
    """A_ij = exp(S_ij) / sum_k exp(S_ik) over the keys that `keep` [.., S] marks with 1."""

    def forward(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        if keep is not None:
            scores = scores + (keep - 1) * 1e9
        return torch.softmax(scores, -1)


class PolynomialWeights(nn.Module):
    """A_ij = m_j P_ij / sum_k m_k P_ik,  P_ij = [ReLU(S_ij + b)]^n + |delta|  (Lin et al., eq. 11).

    The mask m applies after the polynomial.  A mask before the polynomial would not work, because
    ReLU would give 0 for a masked key, and |delta| would give it a weight. b and delta are learned,
    one value for each head.

    b starts at n.  Since (S + n)^n / n^n = (1 + S / n)^n tends to exp(S), attention then starts
    with the slope of softmax. |delta| is |raw delta| + DELTA_FLOOR.  Therefore a row with a key is
    never all zero.  A row without a key has zero weights.
    """

    def __init__(self, heads: int, degree: int) -> None:
        super().__init__()
        self.degree = degree
        self.shift = nn.Parameter(torch.full((heads, 1, 1), float(degree)))
        self.raw_delta = nn.Parameter(torch.full((heads, 1, 1), 0.1))

    def delta(self) -> Tensor:
        """|delta| [heads, 1, 1]"""
        return self.raw_delta.abs() + DELTA_FLOOR

    def forward(self, scores: Tensor, keep: Tensor | None) -> Tensor:
        weights: Tensor = relu(scores + self.shift).pow(self.degree) + self.delta()
        if keep is not None:
            weights = weights * keep
        total = weights.sum(-1, keepdim=True).clamp_min(DELTA_FLOOR / 2)
        return weights / total


class Attention(nn.Module):
    """Output(concat_h A_h V_h), S_h = Q_h K_h^T / sqrt(d / heads), with biases on all four maps."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        self.heads, width = config.heads, config.d_model
        narrow = is_narrow(config.precision)
        self.query, self.key, self.value, self.output = (
            Linear(width, width, narrow) for _ in range(4)
        )
        polynomial = config.attention == "polynomial"
        self.weights = (
            PolynomialWeights(config.heads, config.degree) if polynomial else SoftmaxWeights()
        )
        for linear in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(linear.weight, 1 / math.sqrt(2))
        nn.init.xavier_uniform_(self.output.weight)
        for linear in (self.query, self.key, self.value, self.output):
            nn.init.zeros_(linear.bias)

    def split(self, x: Tensor) -> Tensor:
        """[B, T, d] -> [B, heads, T, d / heads]."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values [B, heads, S, d / heads] of the states x [B, S, d]."""
        return self.split(self.key(x)), self.split(self.value(x))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None) -> Tensor:
        """x is [B, T, d]. keep is 1 if a query may see a key, broadcast to [B, heads, T, S]."""
        queries = self.split(self.query(x) * (keys.shape[-1] ** -0.5))
        weights = self.weights(queries @ keys.transpose(-1, -2), keep)
        mixed = (weights @ values).transpose(1, 2).flatten(2)
        out: Tensor = self.output(mixed)
        return out
