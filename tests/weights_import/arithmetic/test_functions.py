"""Elementary functions: errors against 80 digits, exact results, special values, equal forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from tests.weights_import.arithmetic import high_precision
from weights_import.arithmetic import functions
from weights_import.arithmetic.constants import ARCTAN_HALF, LN_2, LOG2_E, ONE, PI, TWO_OVER_ROOT_PI
from weights_import.arithmetic.elementwise import BLOCK

COUNT = 150
INFINITY, NAN = math.inf, math.nan
TINY = 5e-324
ONE_ARGUMENT = {
    "exp": 0.9,
    "exp2": 1.1,
    "log": 0.9,
    "log2": 2.0,
    "sin": 0.9,
    "cos": 0.9,
    "tanh": 3.0,
    "erf": 3.5,
    "sigmoid": 2.2,
}
"""Functions of one number, and their largest error in units in the last place."""

Numbers = NDArray[np.float64]


def of_all_sizes(random: np.random.Generator, least: float, most: float) -> Numbers:
    """Numbers of both signs whose logarithms are even."""
    logarithms = random.uniform(math.log2(least), math.log2(most), COUNT)
    sign: Numbers = random.choice([-1.0, 1.0], COUNT)
    return sign * random.uniform(1, 2, COUNT) * np.exp2(logarithms - 1)


def near_multiples() -> Numbers:
    """The floats that are nearest to multiples of pi/2: their sine or cosine is small."""
    quarter = int(Fraction(high_precision.PI) * 10**40 / 2)
    found = []
    for k in range(1, 667_000, 5):
        x = k * quarter / 10**40
        found.append((abs(int(x * 2**60) * 10**40 - k * quarter * 2**60), x))
    return np.array([x for _, x in sorted(found)[:COUNT]])


def samples(name: str) -> Numbers:
    """Arguments that give finite, normal results."""
    random = np.random.default_rng(0)
    near_one = 1 + of_all_sizes(random, 1e-16, 0.1)
    small = of_all_sizes(random, 1e-30, 1)
    if name in ("log", "log2"):
        everywhere = np.abs(of_all_sizes(random, 1e-307, 1e307))
        return np.concatenate([everywhere, near_one, random.uniform(0.5, 2, COUNT)])
    if name in ("sin", "cos"):
        angles = random.uniform(-1e6, 1e6, COUNT)
        return np.concatenate([angles, near_multiples(), small, random.uniform(-4, 4, COUNT)])
    ends = {
        "exp": (-708.39, 709.78),
        "exp2": (-1022, 1024),
        "sigmoid": (-708.39, 50),
        "tanh": (-25, 25),
        "erf": (-6.5, 6.5),
    }
    middle = random.uniform(-1, 1, COUNT)
    return np.concatenate([random.uniform(*ends[name], COUNT), middle, small])


def largest_error(found: Numbers, exact: list[Decimal]) -> float:
    return max(high_precision.error(float(y), e) for y, e in zip(found, exact, strict=True))


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_error(name: str) -> None:
    x = samples(name)
    oracle = getattr(high_precision, name)
    exact = [oracle(float(v)) for v in x]
    assert largest_error(getattr(functions, name)(x), exact) < ONE_ARGUMENT[name]


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_absolute_and_relative_error(name: str) -> None:
    x = samples(name)
    oracle = getattr(high_precision, name)
    for y, e in zip(getattr(functions, name)(x), [oracle(float(v)) for v in x], strict=True):
        difference = abs(Decimal(float(y)) - e)
        assert difference < Decimal("1.5e-16" if name == "erf" else "5e-16")
        assert difference < Decimal("1e-15") * abs(e)


def test_error_of_arctan2() -> None:
    random = np.random.default_rng(0)
    pairs = [
        (random.normal(size=COUNT), random.normal(size=COUNT)),
        (of_all_sizes(random, 1e-3, 1e3), of_all_sizes(random, 1e-3, 1e3)),
        (of_all_sizes(random, 1e-308, 1e-290), of_all_sizes(random, 1e-308, 1e-290)),
        (of_all_sizes(random, 1e290, 1e308), of_all_sizes(random, 1e290, 1e308)),
    ]
    for y, x in pairs:
        exact = [high_precision.arctan2(float(a), float(b)) for a, b in zip(y, x, strict=True)]
        assert largest_error(functions.arctan2(y, x), exact) < 2.5


def test_error_of_power() -> None:
    random = np.random.default_rng(0)
    bases = np.abs(of_all_sizes(random, 1e-300, 1e300))
    near_one = 1 + np.abs(of_all_sizes(random, 1e-12, 0.1))
    pairs = [
        (bases, random.uniform(-708, 709, COUNT) / np.log(bases)),
        (near_one, random.uniform(-7000, 7000, COUNT)),
        (random.uniform(1e-3, 1e5, COUNT), random.uniform(-3, 3, COUNT)),
    ]
    for base, exponent in pairs:
        exact = [
            high_precision.power(float(a), float(b)) for a, b in zip(base, exponent, strict=True)
        ]
        assert largest_error(functions.power(base, exponent), exact) < 0.9


def test_exact_results() -> None:
    whole = np.arange(-1022.0, 1024)
    powers = np.ldexp(1.0, whole.astype(int))
    assert (functions.exp2(whole) == powers).all()
    assert (functions.log2(powers) == whole).all()
    assert (functions.log2([5e-324, 2.0**-1030]) == [-1074, -1030]).all()
    x = np.abs(of_all_sizes(np.random.default_rng(1), 1e-300, 1e300))
    assert (functions.power(x, 1) == x).all()
    assert (functions.power(x, 0) == 1).all()
    assert (functions.power(1.0, x) == 1).all()
    assert (functions.power(2.0, whole) == powers).all()


@given(st.floats(1e-150, 1e150))
def test_power_of_one_is_the_number(x: float) -> None:
    assert functions.power(x, 1) == x
    assert abs(functions.power(x, 2) - x * x) <= math.ulp(x * x)
    assert abs(functions.power(x, 0.5) - math.sqrt(x)) <= math.ulp(math.sqrt(x))


SPECIAL = {
    "exp": [(INFINITY, INFINITY), (-INFINITY, 0), (0, 1), (710, INFINITY), (-760, 0)],
    "exp2": [(INFINITY, INFINITY), (-INFINITY, 0), (0, 1), (1024, INFINITY), (-1080, 0)],
    "log": [(INFINITY, INFINITY), (0, -INFINITY), (-0.0, -INFINITY), (-1, NAN), (1, 0)],
    "log2": [(INFINITY, INFINITY), (0, -INFINITY), (-INFINITY, NAN), (1, 0)],
    "sin": [(INFINITY, NAN), (-INFINITY, NAN), (2e6, NAN), (0, 0), (TINY, TINY)],
    "cos": [(INFINITY, NAN), (-INFINITY, NAN), (2e6, NAN), (0, 1), (TINY, 1)],
    "tanh": [(INFINITY, 1), (-INFINITY, -1), (0, 0), (-0.0, -0.0), (30, 1)],
    "erf": [(INFINITY, 1), (-INFINITY, -1), (0, 0), (-0.0, -0.0), (6, 1)],
    "sigmoid": [(INFINITY, 1), (-INFINITY, 0), (0, 0.5), (-0.0, 0.5), (800, 1), (-800, 0)],
}


@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(name: str) -> None:
    x, y = np.array([*SPECIAL[name], (NAN, NAN)]).T
    found = getattr(functions, name)(x)
    np.testing.assert_array_equal(found, y)
    np.testing.assert_array_equal(np.signbit(found[y == 0]), np.signbit(y[y == 0]))


@pytest.mark.parametrize("y", [0.0, -0.0, 1.0, -1.0, 1e-320, INFINITY, -INFINITY, NAN])
@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, -1.0, 1e308, INFINITY, -INFINITY, NAN])
def test_special_angles(y: float, x: float) -> None:
    found, expected = functions.arctan2(y, x), math.atan2(y, x)
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-322)
    assert math.isnan(expected) or np.signbit(found) == np.signbit(expected)


@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [
        (2, 5000, INFINITY),
        (2, -5000, 0),
        (0.5, INFINITY, 0),
        (0.5, -INFINITY, INFINITY),
        (1 + 2**-52, INFINITY, INFINITY),
        (INFINITY, 2, INFINITY),
        (INFINITY, -2, 0),
        (INFINITY, 0, 1),
        (1, INFINITY, 1),
        (0, 1, NAN),
        (-1, 2, NAN),
        (NAN, 1, NAN),
        (NAN, 0, NAN),
        (2, NAN, NAN),
    ],
)
def test_special_powers(base: float, exponent: float, expected: float) -> None:
    np.testing.assert_array_equal(functions.power(base, exponent), expected)


@pytest.mark.parametrize(
    "x",
    [
        0.25,
        [1, 2, 3],
        np.array([[0.5], [1.5]], np.float32),
        np.arange(1, 25).reshape(2, 3, 4)[:, ::-1, ::2],
        np.empty((0, 3)),
        np.frombuffer(np.arange(1.0, 4).tobytes()),
    ],
)
def test_any_shape_and_type(x: ArrayLike) -> None:
    found = functions.log(x)
    assert found.dtype == np.float64
    assert found.shape == np.shape(x)
    assert found.ravel().tolist() == [functions.log_of(float(v)) for v in np.ravel(x)]


def test_two_arguments_of_different_shapes() -> None:
    found = functions.power([[2], [3]], [1, 2, 3])
    np.testing.assert_allclose(found, [[2, 4, 8], [3, 9, 27]], rtol=1e-15)
    assert functions.arctan2(np.ones(3), 1).shape == (3,)


@pytest.mark.parametrize("count", [1, 3])
def test_threads_and_neighbours_change_nothing(
    count: int, use_threads: Callable[[int], None]
) -> None:
    """The compiled function in vectors, the same at odd places, and its Python body."""
    use_threads(count)
    x = np.random.default_rng(2).uniform(-9, 9, 2 * BLOCK + 7)
    found = functions.tanh(x)
    assert (functions.tanh(x[3:]) == found[3:]).all()
    assert found[-99:].tolist() == [functions.tanh_of(v) for v in x[-99:].tolist()]


@pytest.mark.parametrize("name", ONE_ARGUMENT)
def test_python_and_compiled_code_agree(name: str) -> None:
    others = [0.0, -0.0, INFINITY, -INFINITY, TINY, 1e300, -745.1, 709.9]
    x = np.concatenate([samples(name), others])
    python = [getattr(functions, f"{name}_of")(v) for v in x.tolist()]
    np.testing.assert_array_equal(getattr(functions, name)(x), python)


@pytest.mark.parametrize("name", ["arctan2", "power"])
def test_python_and_compiled_code_agree_on_two(name: str) -> None:
    random = np.random.default_rng(3)
    x, y = of_all_sizes(random, 1e-300, 1e300), of_all_sizes(random, 1e-3, 1e3)
    scalar = getattr(functions, f"{name}_of")
    python = [scalar(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    np.testing.assert_array_equal(getattr(functions, name)(x, y), python)


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        (PI, "3.1415926535897932384626433832795028841971693993751058209749445923"),
        (LN_2, "0.6931471805599453094172321214581765680755001343602552541206800095"),
        (LOG2_E, "1.4426950408889634073599246810018921374266459541529859341354494069"),
        (ARCTAN_HALF, "0.4636476090008061162142562314612144020285370542861202638109330887"),
        (TWO_OVER_ROOT_PI, "1.1283791670955125738961589031215451716881012586579977136881714434"),
    ],
)
def test_constants(number: int, digits: str) -> None:
    assert abs(Fraction(number, ONE) - Fraction(digits)) < Fraction(1, 10**63)
