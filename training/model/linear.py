"""Linear maps whose products may be of bfloat16, twice as fast where the processor has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def is_narrow(precision: str) -> bool:
    """Whether products are of bfloat16; "auto": on a processor with instructions for them, as
    without they are 3 to 64 times as slow as those of float32."""
    if precision == "auto":
        return bool(torch.cpu._is_avx512_bf16_supported())
    return precision == "bfloat16"


class NarrowLinear(torch.autograd.Function):
    """y = x W^T + bias with x and W rounded to bfloat16, and so are the gradients of y and the
    products themselves; the sums inside a product, the bias and its gradient are of float32."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rows, narrow = x.reshape(-1, x.shape[-1]).bfloat16(), weight.bfloat16()
        ctx.save_for_backward(rows, narrow)
        y = torch.mm(rows, narrow.t()).float().add_(bias)
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, narrow = ctx.saved_tensors
        (grad,) = grads
        wide = grad.reshape(-1, grad.shape[-1])
        g = wide.bfloat16()
        grad_x = torch.mm(g, narrow).float().view(*grad.shape[:-1], -1)
        return grad_x, torch.mm(g.t(), rows).float(), wide.sum(0)


class Linear(nn.Linear):
    """y = x W^T + bias; in training with products of bfloat16 if `narrow`, else all in float32."""

    def __init__(self, inputs: int, outputs: int, narrow: bool) -> None:
        super().__init__(inputs, outputs)
        self.narrow = narrow

    def forward(self, x: Tensor) -> Tensor:
        if not (self.narrow and self.training):
            return super().forward(x)
        y: Tensor = NarrowLinear.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return y
