"""Channels of any size: the same function in float loses about the same in integers.

Trained models have channels that are 100 times larger than others (Dettmers et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import every_kind
import numpy as np
import pytest
from extremes import log_softmax, logits
from numpy.typing import NDArray
from rescaled import CHANGES, rescaled

from int8ref.program.program import Program, Tensors
from weights_import.float_model import FloatModel
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

SIZES = every_kind.Sizes(width=64, heads=4, hidden=128, vocabulary=64)
SMALL = every_kind.Sizes(width=16, hidden=24, vocabulary=31)
SEEDS = range(2)
MOST = 1.1
"""The largest loss, as a share of the loss of the model with channels of one size."""
STEPS = 8
Batch = list[list[int]]


def batches(model: FloatModel, count: int, seed: int) -> tuple[Batch, Batch]:
    """Return sources and targets of STEPS tokens."""
    sources = every_kind.sentences(model, count, seed, longest=12)
    vocabulary = model.generation.target_vocabulary
    targets = np.random.default_rng(seed).integers(2, vocabulary, (count, STEPS)).tolist()
    return sources if model.translates else [[] for _ in targets], targets


def lowered(model: FloatModel, **options: Any) -> tuple[Program, Tensors]:
    return lower(model, *batches(model, 40, 0), LoweringOptions(positions=24, **options))


def integer_logits(program: Program, tensors: Tensors, text: tuple[Batch, Batch]) -> NDArray[Any]:
    return logits(program, tensors, *text, backends=["compiled"])


@dataclass(frozen=True)
class Result:
    """Log-probabilities of the float model, and what the integer model loses.

    loss  the root of the mean square of the difference of log-probabilities, mean over the steps
    """

    exact: NDArray[np.float64]
    loss: float


def result(model: FloatModel) -> Result:
    text = batches(model, 20, 1)
    exact = log_softmax(np.stack(forced(model, *text)))
    program, tensors = lowered(model)
    unit = program.log_softmax.multiplier * 2.0 ** -(program.log_softmax.shift + 20) * np.log(2)
    found = program.log_softmax.capped(integer_logits(program, tensors, text))
    found = log_softmax(found * unit)
    return Result(exact, float(np.sqrt(np.square(found - exact).mean(axis=-1)).mean()))


def made(kind: str, seed: int) -> FloatModel:
    return every_kind.random_model(kind, seed, SIZES, every_kind.trained)


@cache
def plain(kind: str, seed: int) -> Result:
    return result(made(kind, seed))


def lost(kind: str, changes: list[str], factor: float) -> float:
    """Return the loss with channels of another size, as a share of the loss without.

    The losses of several models are added, because rounding makes the loss of one model uncertain.
    """
    losses = []
    for seed in SEEDS:
        model = made(kind, seed)
        other = rescaled(model, factor, changes, seed)
        assert any(other.tensors.stored(n) is not model.tensors.stored(n) for n in model.tensors)
        before, after = plain(kind, seed), result(other)
        np.testing.assert_allclose(after.exact, before.exact, atol=1e-4)
        losses.append((before.loss, after.loss))
    usual, found = np.sum(losses, axis=0)
    assert 0 < usual / len(SEEDS) < 0.1
    return float(found / usual)


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_channels_of_all_values_at_once(kind: str) -> None:
    assert lost(kind, [*CHANGES], 100.0) < MOST


@pytest.mark.parametrize(
    ("kind", "change", "factor"),
    [
        ("pre-norm", "norms", 100.0),
        ("pre-norm", "keys", 100.0),
        ("pre-norm", "keys", 0.01),  # queries are 100 times larger
        ("pre-norm", "values", 100.0),
        ("pre-norm", "hidden", 100.0),
        ("llama", "norms", 100.0),
        ("llama", "keys", 100.0),
        ("llama", "keys", 0.01),
        ("llama", "values", 100.0),
        ("llama", "gated", 100.0),
    ],
)
def test_channels_of_one_kind_of_value(kind: str, change: str, factor: float) -> None:
    assert lost(kind, [change], factor) < MOST


@pytest.mark.parametrize("kind", every_kind.KINDS)
@pytest.mark.parametrize("options", [{}, {"requantize": "shift"}, {"rescaling": "dynamic"}])
def test_a_norm_that_grows_by_a_power_of_two_changes_no_bit(
    kind: str, options: dict[str, Any]
) -> None:
    model = every_kind.random_model(kind, sizes=SMALL, fill=every_kind.trained)
    other = rescaled(model, 128.0, ["norms"])
    text = batches(model, 9, 1)
    one, two = (integer_logits(*lowered(m, **options), text) for m in (model, other))
    np.testing.assert_array_equal(one, two)
