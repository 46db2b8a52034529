"""What a changed result costs: of the next token, of a label, or of an embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weights_import.tensors import Float32, Float64

LARGEST = 700.0
"""Differences of logits beyond it count as this number, because exp overflows at 709."""


@dataclass(frozen=True)
class Loss:
    """The loss of each row, and what both models choose there.

    of      [rows]: KL divergence in nats, or 1 - cosine
    exact   [rows]: the most likely token or label of the float model; all 0 for an embedding
    found   [rows]: the most likely token or label of the other model
    """

    of: Float64
    exact: NDArray[np.int64]
    found: NDArray[np.int64]

    @property
    def changed(self) -> NDArray[np.bool_]:
        """Whether the other model chooses otherwise."""
        found: NDArray[np.bool_] = self.exact != self.found
        return found

    def split(self, ends: NDArray[np.int64]) -> list[Loss]:
        """The losses of some rows after another."""
        pieces = (np.split(x, ends) for x in (self.of, self.exact, self.found))
        return [Loss(*piece) for piece in zip(*pieces, strict=True)]


@dataclass(frozen=True)
class NextToken:
    """The distributions P of the next token, with which others are compared.

    result         its logits [rows, tokens]
    probabilities  [rows, tokens]
    """

    result: Float32
    probabilities: Float32

    @classmethod
    def of(cls, logits: Float32) -> NextToken:
        found = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
        found /= found.sum(axis=1, keepdims=True)
        return cls(logits, found)

    def loss(self, found: Float32) -> Loss:
        """KL(P || Q) of each row, for the logits of Q.

        For d = logits of Q - logits of P - their mean under P, it is log(sum_i P_i exp(d_i)).
        Nearly equal logits lose no digits in this form.
        """
        difference = found.astype(np.float64) - self.result
        difference -= self._mean(difference)[:, None]
        np.minimum(difference, LARGEST, out=difference)
        loss = np.log1p(self._mean(np.expm1(difference, out=difference)))
        return Loss(np.maximum(loss, 0), self.result.argmax(axis=1), found.argmax(axis=1))

    def _mean(self, x: Float64) -> Float64:
        """The mean of each row under P."""
        found: Float64 = np.einsum("ij,ij->i", self.probabilities, x)
        return found


@dataclass(frozen=True)
class Embeddings:
    """Embeddings, with which others are compared: [rows, features]."""

    result: Float32

    def loss(self, found: Float32) -> Loss:
        """1 - cosine of each row."""
        return distance(self.result, found)


def distance(exact: Float32, found: Float32) -> Loss:
    """1 - cosine of each row, [rows, features]; 0 for two rows of zeros."""
    a, b = exact.astype(np.float64), found.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    product = lengths[0] * lengths[1]
    cosine = np.einsum("ij,ij->i", a, b) / np.where(product > 0, product, 1)
    both = (lengths[0] == 0) & (lengths[1] == 0)
    same = np.zeros(len(a), np.int64)
    return Loss(np.where(both, 0.0, np.maximum(1 - cosine, 0)), same, same)
