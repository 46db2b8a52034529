from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from training.model.norm import EPSILON, L1Norm, divide_by_spread  # noqa: E402


def test_l1_norm_is_the_formula() -> None:
    rng = np.random.default_rng(0)
    x, gain, bias = rng.normal(3, 5, (4, 7, 12)), rng.normal(size=12), rng.normal(size=12)
    norm = L1Norm(12).double()
    norm.gain.data, norm.bias.data = torch.from_numpy(gain), torch.from_numpy(bias)
    centred = x - x.mean(-1, keepdims=True)
    expected = gain * centred / (np.abs(centred).mean(-1, keepdims=True) + EPSILON) + bias
    np.testing.assert_allclose(norm(torch.from_numpy(x)).detach(), expected, rtol=1e-12)


def test_l1_norm_of_a_constant_row_is_its_bias() -> None:
    norm = L1Norm(8)
    norm.bias.data.uniform_()
    assert torch.equal(norm(torch.full((1, 8), 3.0))[0], norm.bias)


def test_gradient_agrees_with_finite_differences() -> None:
    x = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(divide_by_spread, x)
