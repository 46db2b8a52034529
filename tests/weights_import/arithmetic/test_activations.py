"""Activations against 80 digits, and their ends."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.weights_import.arithmetic import high_precision
from weights_import.arithmetic.activations import ACTIVATIONS, Activation, activate
from weights_import.arithmetic.elementwise import BLOCK

names = st.sampled_from(ACTIVATIONS)


def exact(name: Activation, x: float) -> Decimal:
    """The activation with 80 digits."""
    number = Decimal(x)
    if name == "relu":
        return max(number, Decimal(0))
    if name == "swish":
        return number * high_precision.sigmoid(x)
    with localcontext() as context:
        context.prec = high_precision.DIGITS
        if name == "tanh":
            small = abs(number) < Decimal("1e-20")  # where 80 digits cancel
            return number - number**3 / 3 if small else high_precision.tanh(number)
        if name == "gelu":
            inner = number / Decimal(2).sqrt()
            return number / 2 * (1 + high_precision.erf(inner))
        inner = number + Decimal("0.044715") * number**3
        return number / 2 * (1 + high_precision.tanh((2 / high_precision.PI).sqrt() * inner))


def tolerance(name: Activation, x: float, y: Decimal) -> Decimal:
    """The error that the docstring of `activate` states."""
    if name == "relu":
        return Decimal(0)
    if name in ("swish", "tanh"):
        return Decimal(4 * math.ulp(float(y)))
    return Decimal(2.0**-52 * abs(x))


@given(names, st.floats(-40, 40))
def test_float64(name: Activation, x: float) -> None:
    found, y = float(activate(name, np.array([x]))[0]), exact(name, x)
    assert abs(Decimal(found) - y) <= tolerance(name, x, y)


@given(names, st.floats(-40, 40, width=32))
def test_float32_is_rounded_once(name: Activation, x: float) -> None:
    found = activate(name, np.array([x], np.float32))
    assert found.dtype == np.float32
    assert found[0] == np.float32(activate(name, np.array([x]))[0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_ends(name: Activation) -> None:
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan])
    expected = np.array([0, 0, 0, 0, 1e30, np.inf, np.nan])
    if name == "tanh":
        expected = np.array([-1, -1, 0, 0, 1, 1, np.nan])
    np.testing.assert_array_equal(activate(name, x), expected)
    narrow = activate(name, x.astype(np.float32))
    np.testing.assert_array_equal(narrow, expected.astype(np.float32))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_any_shape(name: Activation) -> None:
    x = np.random.default_rng(0).normal(0, 3, (5, BLOCK // 2 + 3, 2)).astype(np.float32)
    found = activate(name, x[:, ::-1])
    assert found.shape == x.shape
    assert (found[:, ::-1][2:] == activate(name, x[2:])).all()
    assert activate(name, x[:0]).shape == (0, *x.shape[1:])


def test_names() -> None:
    assert get_args(Activation) == ACTIVATIONS


def frozen(values: list[float]) -> NDArray[np.float64]:
    found = np.array(values)
    found.flags.writeable = False
    return found


def test_the_argument_stays() -> None:
    x = frozen([-1.0, 2.0])
    assert activate("relu", x).tolist() == [0, 2]
    assert x.tolist() == [-1, 2]
