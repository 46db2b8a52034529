"""The hand-written gradients and the cheap dropout, against PyTorch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from training.model.dropout import AddDropped, keep_mask  # noqa: E402
from training.model.loss import CHUNK, smoothed_cross_entropy  # noqa: E402
from training.model.relu import relu  # noqa: E402


def test_chunked_loss_and_gradients_are_those_of_cross_entropy() -> None:
    torch.manual_seed(0)
    rows, vocabulary = 2 * CHUNK + 17, 31
    x = torch.randn(rows, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(vocabulary, 8, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(vocabulary, (rows,))
    loss, nll = smoothed_cross_entropy(x, weight, labels, 0.1)
    found = torch.autograd.grad(3 * loss, (x, weight))
    cross_entropy = torch.nn.functional.cross_entropy
    expected = cross_entropy(x @ weight.t(), labels, label_smoothing=0.1)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(nll, cross_entropy(x @ weight.t(), labels).detach())
    torch.testing.assert_close(found, torch.autograd.grad(3 * expected, (x, weight)))


def test_dropout_keeps_at_the_rate_and_restores_the_mean() -> None:
    torch.manual_seed(0)
    mask, factor = keep_mask(torch.Size((1000, 101)), 0.3)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert abs(float(mask.mean()) - 0.7) < 0.01
    assert abs(float(mask.mean()) * factor - 1) < 0.01
    # Every byte of the 64-bit words must be uniform, the top one too.
    for byte in range(8):
        assert abs(float(mask.flatten()[byte::8].mean()) - 0.7) < 0.02


def test_dropout_drops_the_same_elements_forward_and_backward() -> None:
    torch.manual_seed(0)
    x, y = torch.zeros(50, 20), torch.ones(50, 20, requires_grad=True)
    out = AddDropped.apply(x, y, 0.3)
    out.sum().backward()
    torch.testing.assert_close(out, y.grad)


def test_relu() -> None:
    x = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    y = relu(x)
    y.backward(torch.tensor([5.0, 6.0, 7.0]))
    assert y.tolist() == [0, 0, 3]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 7]
