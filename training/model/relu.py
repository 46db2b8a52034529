"""ReLU with a fast backward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Rectify(torch.autograd.Function):
    """y = max(x, 0),  dL/dx = dL/dy * [y > 0].

    The backward pass of PyTorch's ReLU costs ten times as much on an AVX2 processor.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.clamp_min(0.0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        (grad,) = grads
        positive = torch.gt(y, 0.0, out=torch.empty_like(y))
        return positive.mul_(grad)


def relu(x: Tensor) -> Tensor:
    """max(x, 0)"""
    y: Tensor = Rectify.apply(x)  # type: ignore[no-untyped-call]
    return y
