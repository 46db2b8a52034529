"""Hand-written gradients and the fast dropout equal PyTorch's own."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from training.model.dropout import AddDropped, keep_mask  # noqa: E402
from training.model.linear import Linear  # noqa: E402
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


def test_narrow_loss_and_gradients_are_near_those_of_float32() -> None:
    torch.manual_seed(0)
    x = torch.randn(CHUNK + 9, 16, requires_grad=True)
    weight = torch.randn(31, 16, requires_grad=True)
    labels = torch.randint(31, (len(x),))
    losses = [smoothed_cross_entropy(x, weight, labels, 0.1, narrow)[0] for narrow in (False, True)]
    wide, narrow = (torch.autograd.grad(loss, (x, weight)) for loss in losses)
    assert losses[0] != losses[1]
    torch.testing.assert_close(losses[1], losses[0], rtol=2e-2, atol=0)
    for found, expected in zip(narrow, wide, strict=True):
        assert (found - expected).norm() < 2e-2 * expected.norm()


def test_narrow_linear_rounds_its_factors_to_bfloat16() -> None:
    torch.manual_seed(0)
    linear = Linear(8, 5, narrow=True)
    torch.nn.init.normal_(linear.bias)
    x = torch.randn(2, 3, 8, requires_grad=True)
    y = linear(x)
    g = torch.randn_like(y).bfloat16().float()
    grads = torch.autograd.grad(y, (x, linear.weight, linear.bias), g)
    rounded = [v.detach().bfloat16().float().requires_grad_() for v in (x, linear.weight)]
    expected = torch.nn.functional.linear(*rounded, linear.bias)
    wanted = torch.autograd.grad(expected, (*rounded, linear.bias), g)
    for found, exact in zip((y, *grads), (expected, *wanted), strict=True):
        torch.testing.assert_close(found, exact, rtol=1e-2, atol=2e-2)
    torch.testing.assert_close(grads[2], wanted[2])
    assert not torch.equal(y, expected)
    linear.eval()
    exact = torch.nn.functional.linear(x, linear.weight, linear.bias)
    assert torch.equal(linear(x), exact)


def test_dropout_keeps_at_the_rate_and_restores_the_mean() -> None:
    torch.manual_seed(0)
    mask, factor = keep_mask(torch.zeros(1000, 101), 0.3)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert abs(float(mask.mean()) - 0.7) < 0.01
    assert abs(float(mask.mean()) * factor - 1) < 0.01
    # Every byte of the 64-bit words must be uniform, including the highest byte.
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
