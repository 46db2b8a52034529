"""Muon against its definition with a singular value decomposition."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from training.muon import MOMENTUM, Muon, orthogonalise  # noqa: E402


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 24, 8), (2, 8, 24)])
def test_orthogonalise_keeps_the_directions_and_evens_the_lengths(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    given = torch.randn(shape)
    u, s, vh = torch.linalg.svd(given, full_matrices=False)
    found = u.mT @ orthogonalise(given) @ vh.mT
    lengths = found.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(found, torch.diag_embed(lengths), atol=1e-4, rtol=0)
    lasting = s > 0.02 * s.norm(dim=1, keepdim=True)
    assert lengths[lasting].min() > 0.5
    assert lengths.max() < 1.3


def test_two_steps_follow_the_definition() -> None:
    torch.manual_seed(1)
    start = [torch.randn(6, 4), torch.randn(4, 6), torch.randn(6, 4)]
    weights = [torch.nn.Parameter(w.clone()) for w in start]
    optimizer = Muon(weights)
    optimizer.param_groups[0]["lr"] = 0.1
    momenta = [torch.zeros_like(w) for w in start]
    for _ in range(2):
        for weight, expected, momentum in zip(weights, start, momenta, strict=True):
            weight.grad = torch.randn_like(weight)
            momentum.mul_(MOMENTUM).add_(weight.grad)
            ahead = weight.grad + MOMENTUM * momentum
            rows, columns = weight.shape
            factor = max(1.0, rows / columns) ** 0.5
            expected.sub_(0.1 * factor * orthogonalise(ahead[None])[0])
        optimizer.step()
    torch.testing.assert_close([w.detach() for w in weights], start)
