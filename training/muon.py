"""Muon: momentum whose matrix is orthogonalised before the step (Jordan et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# x -> a x + b x^3 + c x^5, five times over, takes singular values in (0.01, 1] to 0.7 ... 1.2.
# The authors' coefficients: they buy fast growth near zero with that spread around 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
MOMENTUM = 0.95


def orthogonalise(matrices: Tensor) -> Tensor:
    """U V^T, roughly, of each matrix U S V^T in [count, m, n]; float32, by Newton-Schulz steps."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = x @ x.transpose(1, 2)
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """For each weight W [m, n] with gradient G and momentum M, 0 at first:

    M <- mu M + G,  W <- W - rate sqrt(max(1, m / n)) orthogonalise(G + mu M),  mu = 0.95.

    Matrices of one shape are orthogonalised together: a batch costs less than its members.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                shapes.setdefault(weight.shape, []).append(weight)
            for (rows, columns), weights in shapes.items():
                direction = orthogonalise(torch.stack([self.push(w) for w in weights]))
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                for weight, change in zip(weights, direction, strict=True):
                    weight.sub_(change, alpha=rate)

    def push(self, weight: Tensor) -> Tensor:
        """Adds the gradient to the momentum; returns Nesterov's look ahead."""
        assert weight.grad is not None
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum: Tensor = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
        return torch.add(weight.grad, momentum, alpha=MOMENTUM)
