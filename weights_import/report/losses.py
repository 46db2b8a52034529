"""What a changed result costs: of the next token, of a label, or of an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weights_import.tensors import Float32, Float64

BLOCK = 1 << 20
"""The most logits whose logarithms are in memory in float64."""


@dataclass(frozen=True)
class Loss:
    """The loss of each row, and whether its choice changed.

    of       [rows]: KL divergence in nats, or 1 - cosine
    changed  [rows]: whether the most likely token or label is another; all false for an embedding
    """

    of: Float64
    changed: np.ndarray


def divergence(exact: Float32, found: Float32) -> Loss:
    """KL(P || Q) of each row, for the logits of P and of Q, [rows, tokens]."""
    losses = [
        np.einsum("ij,ij->i", np.exp(p), p - q) for p, q in _logarithms(exact, found)
    ]
    changed = exact.argmax(axis=1) != found.argmax(axis=1)
    return Loss(np.maximum(np.concatenate(losses), 0) if losses else np.zeros(0), changed)


def distance(exact: Float32, found: Float32) -> Loss:
    """1 - cosine of each row, [rows, features]; 0 for two rows of zeros."""
    a, b = exact.astype(np.float64), found.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    product = lengths[0] * lengths[1]
    cosine = np.einsum("ij,ij->i", a, b) / np.where(product > 0, product, 1)
    both = (lengths[0] == 0) & (lengths[1] == 0)
    return Loss(np.where(both, 0.0, np.maximum(1 - cosine, 0)), np.zeros(len(a), bool))


def _logarithms(*logits: Float32) -> Iterator[tuple[Float64, ...]]:
    """Log-probabilities of some rows at a time."""
    rows, width = logits[0].shape
    size = max(1, BLOCK // max(width, 1))
    for first in range(0, rows, size):
        yield tuple(_log_softmax(x[first : first + size]) for x in logits)


def _log_softmax(x: Float32) -> Float64:
    y = x.astype(np.float64)
    y -= y.max(axis=1, keepdims=True)
    found: Float64 = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    return found
