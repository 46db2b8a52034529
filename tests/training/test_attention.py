from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the training recipe needs torch (extra `train`)")

from toy import toy_config  # noqa: E402

from training.model.attention import DELTA_FLOOR, PolynomialWeights  # noqa: E402
from training.model.transformer import Transformer  # noqa: E402
from training.prepare import BOS, PAD  # noqa: E402


def polynomial(heads: int = 2, degree: int = 2) -> PolynomialWeights:
    weights = PolynomialWeights(heads, degree).double()
    weights.shift.data.copy_(torch.tensor([0.7, 2.5])[:, None, None])
    weights.raw_delta.data.copy_(torch.tensor([-0.3, 0.0])[:, None, None])
    return weights


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_polynomial_weights_are_the_formula(degree: int) -> None:
    rng = np.random.default_rng(degree)
    scores, keep = rng.normal(0, 3, (3, 2, 4, 5)), rng.integers(0, 2, (3, 1, 1, 5)).astype(float)
    keep[..., 0] = 1
    b, delta = np.array([0.7, 2.5]), np.array([0.3, 0.0]) + DELTA_FLOOR
    p = np.maximum(scores + b[:, None, None], 0) ** degree + delta[:, None, None]
    expected = p * keep / (p * keep).sum(-1, keepdims=True)
    found = polynomial(2, degree)(torch.from_numpy(scores), torch.from_numpy(keep))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-6)


def test_row_below_the_threshold_is_uniform_over_the_kept_keys() -> None:
    keep = torch.tensor([1.0, 0, 1, 1, 0])
    found = polynomial()(torch.full((1, 2, 1, 5), -50.0), keep)
    torch.testing.assert_close(found, (keep / 3).expand(1, 2, 1, 5), check_dtype=False)


def test_row_without_keys_is_zero() -> None:
    assert not polynomial()(torch.ones(1, 2, 1, 5), torch.zeros(5)).any()


@pytest.mark.parametrize("attention", ["softmax", "polynomial"])
def test_neither_the_future_nor_padding_leaks(attention: str) -> None:
    torch.manual_seed(0)
    model = Transformer(toy_config(model={"attention": attention}).model, 40).eval()
    source = torch.tensor([[5, 6, 7, 3]])
    inputs = torch.tensor([[BOS, 8, 9, 10, 11]])
    states = model(source, inputs)
    changed = inputs.clone()
    changed[:, 3:] = 20
    torch.testing.assert_close(model(source, changed)[:, :3], states[:, :3])
    assert not torch.allclose(model(source, changed)[:, 3:], states[:, 3:])
    padded = torch.nn.functional.pad(source, (0, 6), value=PAD)
    torch.testing.assert_close(model(padded, inputs), states)


@pytest.mark.parametrize("position", ["pre", "post"])
def test_cached_decoding_equals_the_full_pass(position: str) -> None:
    torch.manual_seed(1)
    model = Transformer(toy_config(model={"norm_position": position}).model, 40).eval()
    source, inputs = torch.tensor([[5, 6, 3], [7, 3, PAD]]), torch.randint(4, 40, (2, 6))
    memory, keep = model.encode(source)
    past, steps = None, []
    for place in range(6):
        states, past = model.decode(inputs[:, place : place + 1], memory, keep, past)
        steps.append(states)
    torch.testing.assert_close(torch.cat(steps, 1), model(source, inputs))
