"""The error of the table of an activation is bounded, and its interval is chosen well."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.reference.interpolate import STEP_BITS
from weights_import.arithmetic.activations import Activation, activate
from weights_import.lowering.activation_table import (
    Interval,
    activation_table,
    tabulate,
    wide_table,
)

EXACT: dict[Activation, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "swish": lambda x: x / (1 + math.exp(-x)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
}
SMOOTH: tuple[Activation, ...] = ("swish", "gelu", "gelu_tanh")
ENDS = st.floats(0, 30)


@given(st.sampled_from(list(EXACT)), ENDS, ENDS)
def test_a_table_is_off_by_the_roundings_of_both_sides(
    name: Activation, below: float, above: float
) -> None:
    """The slope of every activation is at most 1.13."""
    made = tabulate(partial(activate, name), Interval.of(-below, above))
    x = np.linspace(-below, above, 997)
    exact = np.array([EXACT[name](value) for value in x])
    reach = made.before.scale / 2 + 1e-7
    # Moving 0 to an integer moves the ends by at most half a step.
    assert np.abs(made.apply(x) - exact).max() <= 1.13 * 2 * reach + made.after.scale


@given(ENDS, ENDS, st.integers(-127, 127))
def test_an_interval_keeps_its_integers_and_zero(below: float, above: float, x: int) -> None:
    interval = Interval.of(-below, above)
    assert interval.integers(interval.reals(np.array([x]))) == x
    assert interval.reals(np.array([interval.zero])) == 0


@pytest.mark.parametrize("name", SMOOTH)
def test_the_interval_leaves_out_what_matters_little(name: Activation) -> None:
    """The sample has normal values and one very negative value, which the activation maps to 0."""
    sample = np.random.default_rng(0).normal(0, 2, (1000, 16)).astype(np.float32)
    sample[5, 5] = -200
    made = activation_table(partial(activate, name), sample)
    exact = activate(name, sample)
    errors = [
        np.sqrt(np.square(table.apply(sample) - exact).mean())
        for table in (made, tabulate(partial(activate, name), Interval.of(-200, sample.max())))
    ]
    assert errors[0] < 0.015 * exact.std()
    assert errors[0] < 0.1 * errors[1]


def test_nothing_but_zeros() -> None:
    made = activation_table(partial(activate, "swish"), np.zeros((3, 4), np.float32))
    assert made.apply(np.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("size", [200, 1e4, 1e8])
def test_the_interval_leaves_out_ends_of_any_size(name: Activation, size: float) -> None:
    """One channel is far below zero.  The activation maps it to 0."""
    sample = np.random.default_rng(0).normal(0, 2, (1000, 16)).astype(np.float32)
    sample[:, 5] = -size
    made = activation_table(partial(activate, name), sample)
    assert made.before.scale * 254 < 20


def test_the_interval_has_the_least_scale_that_is_asked_for() -> None:
    sample = np.random.default_rng(0).normal(0, 2, (100, 16)).astype(np.float32)
    assert activation_table(partial(activate, "gelu"), sample, 0.5).before.scale == 0.5


@pytest.mark.parametrize("name", EXACT)
def test_a_wide_table_has_rounded_results_and_zero_stays_zero(name: Activation) -> None:
    unit = 20 / 2**15
    table, scale = wide_table(partial(activate, name), unit)
    inputs = np.arange(-(2**15), 2**15 + 1, 2**STEP_BITS) * unit
    exact = np.array([EXACT[name](value) for value in inputs])
    assert np.abs(table * scale - exact).max() <= 0.501 * scale
    assert table[inputs == 0].tolist() == [0]
    assert np.abs(table).max() == 32767
