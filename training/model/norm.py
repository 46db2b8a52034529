"""Layer norm over the last axis, with the L2 or the L1 measure of spread."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

# Prevents 0 / 0.  The value is far below the spread of any row in training.  Therefore an integer
# engine may omit it and define the result of a constant row as zero.
EPSILON = 1e-5


class L2Norm(nn.Module):
    """y = gain * (x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon) + bias  (Ba et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, self.gain.shape, self.gain, self.bias, EPSILON)


class L1Norm(nn.Module):
    """y = gain * (x - mean(x)) / (mean(|x - mean(x)|) + epsilon) + bias  (Lin et al. 2020, eq. 13).

    The spread is the mean absolute deviation, which needs no root.  It is sqrt(2 / pi) times the
    standard deviation for Gaussian x.  The gain starts at this factor, so both norms start with
    equal values.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((width,), math.sqrt(2 / math.pi)))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, divide_by_spread(x), self.gain)


class MeanAbsoluteDeviation(torch.autograd.Function):
    """z = c / s, c = x - mean(x), s = mean(|c|) + epsilon.

    The backward pass is written out, because autograd's chain of small operations costs three times
    as much on a CPU.  With g = dL/dz and n the width:

        dL/dc = g / s - sign(c) * sum(g * z) / (n s)
        dL/dx = dL/dc - mean(dL/dc)
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        inverse = 1 / (centred.abs().mean(-1, keepdim=True) + EPSILON)
        z = centred.mul_(inverse)
        ctx.save_for_backward(z, inverse)
        return z

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        z, inverse = ctx.saved_tensors
        (grad,) = grads
        pull = (grad * z).mean(-1, keepdim=True)
        out = torch.addcmul(grad, z.sign(), pull, value=-1)
        return out.sub_(out.mean(-1, keepdim=True)).mul_(inverse)


def divide_by_spread(x: Tensor) -> Tensor:
    """Return (x - mean(x)) / (mean(|x - mean(x)|) + epsilon), over the last axis."""
    z: Tensor = MeanAbsoluteDeviation.apply(x)  # type: ignore[no-untyped-call]
    return z


NORMS = {"l2": L2Norm, "l1": L1Norm}
