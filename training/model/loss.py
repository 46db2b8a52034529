"""Label-smoothed cross-entropy through the tied output matrix, in chunks that fit in the cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 256


class SmoothedCrossEntropy(torch.autograd.Function):
    """Mean over rows of  -sum_v q_v log p_v,  p = softmax(W x),  q = (1 - e) onehot + e / V.

    x [N, d], weight W [V, d], labels [N], smoothing e.  Returns (loss, negative log likelihood of
    the labels).  Only the loss has a gradient: dL/dlogits = (p - q) / N.

    The forward pass computes the gradients, one chunk of rows at a time.  The two terms in e / V
    are constant over the vocabulary, so they are added outside the chunks: mean_v(W x) = mean_v(W)
    x.  With `narrow`, the factors of the products with W are rounded to bfloat16, and so are the
    products.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, labels: Tensor, smoothing: float, narrow: bool
    ) -> tuple[Tensor, Tensor]:
        count, vocabulary = len(x), len(weight)
        factor = torch.bfloat16 if narrow else x.dtype
        grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        mean_weight, matrix = weight.mean(0), weight.to(factor)
        buffer = x.new_empty(min(CHUNK, count), vocabulary)
        loss, nll = x.new_zeros(()), x.new_zeros(())
        for start in range(0, count, CHUNK):
            rows, label = x[start : start + CHUNK], labels[start : start + CHUNK, None]
            left = rows.to(factor)
            logits = product(left, matrix.t(), buffer[: len(rows)])
            picked = logits.gather(1, label)
            p = torch.softmax(logits, 1, out=logits)
            log_p = p.gather(1, label).clamp_min(1e-37).log()
            log_total = picked - log_p
            mean_log_p = (rows @ mean_weight)[:, None] - log_total
            nll -= log_p.sum()
            loss -= ((1 - smoothing) * log_p + smoothing * mean_log_p).sum()
            p.scatter_add_(1, label, torch.full_like(log_p, smoothing - 1))
            grad = p.to(factor)
            product(grad, matrix, grad_x[start : start + CHUNK])
            add_product(grad.t(), left, grad_weight)
        grad_x.sub_(mean_weight, alpha=smoothing)
        grad_weight.sub_(x.sum(0), alpha=smoothing / vocabulary)
        ctx.save_for_backward(grad_x.div_(count), grad_weight.div_(count))
        nll_mean = nll / count
        ctx.mark_non_differentiable(nll_mean)
        return loss / count, nll_mean

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad_x, grad_weight = ctx.saved_tensors
        return grad_x * grads[0], grad_weight * grads[0], None, None, None


def product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Compute a b in the precision of the factors.  Store it in the precision of `out`."""
    return torch.mm(a, b, out=out) if a.dtype == out.dtype else out.copy_(torch.mm(a, b))


def add_product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """Compute out += a b.  The product has the precision of the factors."""
    if a.dtype == out.dtype:
        out.addmm_(a, b)
    else:
        out.add_(torch.mm(a, b))


def smoothed_cross_entropy(
    x: Tensor, weight: Tensor, labels: Tensor, smoothing: float, narrow: bool = False
) -> tuple[Tensor, Tensor]:
    """Return (loss, negative log likelihood), see `SmoothedCrossEntropy`."""
    found: tuple[Tensor, Tensor] = SmoothedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        x, weight, labels, smoothing, narrow
    )
    return found
