"""Dropout and the residual addition in one pass, with fast random bytes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def keep_mask(y: Tensor, rate: float) -> tuple[Tensor, float]:
    """Return a 0/1 float mask of the shape of y, and the factor that restores the mean.

    Each element has one random byte, and is kept if byte >= round(256 rate).  The rate is a
    multiple of 1/256.  PyTorch's dropout draws a number for each element, which is ten times as
    slow on a CPU.
    """
    threshold = round(256 * rate)
    words = torch.empty((y.numel() + 7) // 8, dtype=torch.int64, device=y.device)
    noise = words.random_(-(2**63), None).view(torch.uint8)[: y.numel()].view(y.shape)
    mask = torch.empty(y.shape, device=y.device)
    torch.ge(noise, threshold, out=mask)
    return mask, 256 / (256 - threshold)


class AddDropped(torch.autograd.Function):
    """x + factor * mask * y"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, rate: float) -> Tensor:
        mask, ctx.factor = keep_mask(y, rate)
        ctx.save_for_backward(mask)
        return torch.addcmul(x, y, mask, value=ctx.factor)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (mask,) = ctx.saved_tensors
        (grad,) = grads
        return grad, (grad * mask).mul_(ctx.factor), None


class Dropout(nn.Module):
    """In training, set elements of y to zero at `rate`, rescale the others, and add them to x."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, y: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return y
        mask, factor = keep_mask(y, self.rate)
        return y * mask.mul_(factor)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.training or not self.rate:
            return x + y
        out: Tensor = AddDropped.apply(x, y, self.rate)  # type: ignore[no-untyped-call]
        return out
