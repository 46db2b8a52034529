"""Primitives: equal to exact results in Python's integers.  Their compiled twins are equal too."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.kernels.attention_softmax import softmax_weights
from int8ref.kernels.ir import arithmetic as k
from int8ref.spec import arithmetic as a

INT64 = (-(2**63), 2**63 - 1)
int32 = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([-(2**31), -1, 0, 1, 2**31 - 1])


def one(x: Any) -> int:
    """Return the Python integer of a result with one element.  The dtype must be int64."""
    assert x.dtype == np.int64
    return int(x)


def near_powers(low: int, high: int) -> st.SearchStrategy[int]:
    """Draw integers of a range: uniform, and close to powers of two."""
    powers = st.builds(
        lambda e, d, sign: min(max(sign * (2**e + d), low), high),
        st.integers(0, 63), st.integers(-2, 2), st.sampled_from([-1, 1]),
    )  # fmt: skip
    return st.integers(low, high) | powers | st.sampled_from([low, high])


shifted = st.integers(0, 62).flatmap(
    lambda s: st.tuples(near_powers(-(2**63) + 1 + (1 << s >> 1), 2**63 - 1 - (1 << s >> 1)),
                        st.just(s))
)  # fmt: skip


@given(shifted)
@example((-1, 1))
@example((1, 1))
@example((2**63 - 1 - 2**61, 62))
@example((-(2**63) + 1 + 2**61, 62))
@example((2**63 - 1, 0))
def test_rounding_shift_right_is_round_half_up(pair: tuple[int, int]) -> None:
    x, shift = pair
    wanted = math.floor(Fraction(x, 2**shift) + Fraction(1, 2)) if shift else x
    assert one(a.rounding_shift_right(np.array(x), shift)) == wanted
    assert int(k.rounding_shift_right(x, shift)) == wanted


def test_rounding_shift_right_of_every_small_number() -> None:
    x = np.arange(-2048, 2048, dtype=np.int16)
    for shift in range(12):
        wanted = [math.floor(Fraction(int(n), 2**shift) + Fraction(1, 2)) for n in x]
        found = a.rounding_shift_right(x, shift)
        assert found.tolist() == (wanted if shift else x.tolist())


@given(near_powers(*INT64), int32, int32)
def test_saturate(x: int, first: int, second: int) -> None:
    low, high = sorted((first, second))
    wanted = sorted((low, x, high))[1]
    assert one(a.saturate(np.array(x), low, high)) == wanted
    assert int(k.saturate(x, low, high)) == wanted


@given(
    int32,
    st.integers(0, 2**31 - 1) | st.sampled_from([0, 1, 2**30, 2**31 - 1]),
    st.integers(0, 62),
    st.sampled_from([(-127, 127), (0, 127), (-32767, 32767), (-(2**31), 2**31 - 1)]),
)
@example(-(2**31), 2**31 - 1, 62, (-127, 127))
@example(2**31 - 1, 2**31 - 1, 62, (-127, 127))
def test_requantize_is_exact(
    acc: int, multiplier: int, shift: int, bounds: tuple[int, int]
) -> None:
    half = Fraction(1, 2) if shift else 0
    real = math.floor(Fraction(acc * multiplier, 2**shift) + half)
    wanted = sorted((bounds[0], real, bounds[1]))[1]
    assert one(a.requantize(np.array(acc), multiplier, shift, *bounds)) == wanted
    assert int(k.requantize(acc, multiplier, shift, *bounds)) == wanted


def test_requantize_broadcasts() -> None:
    acc = np.array([[100, -100, 100], [7, 8, 9]], np.int32)
    found = a.requantize(acc, np.array([1, 3, 5]), np.array([0, 1, 2]))
    assert found.tolist() == [[100, -127, 125], [7, 12, 11]]


@given(near_powers(0, 2**63 - 1))
def test_bit_length(x: int) -> None:
    assert one(a.bit_length(np.array(x))) == x.bit_length()
    assert int(k.bit_length(x)) == x.bit_length()


roots = st.builds(
    lambda r, d: min(max(r * r + d, 0), 2**62 - 1), near_powers(0, 2**31 - 1), st.integers(-2, 2)
)


@given(near_powers(0, 2**62 - 1) | roots)
@example(2**62 - 1)
@example((2**31 - 1) ** 2)
@example((2**31 - 1) ** 2 - 1)
def test_isqrt_is_the_exact_floor(x: int) -> None:
    assert one(a.isqrt(np.array(x))) == math.isqrt(x)
    assert int(k.isqrt(x)) == math.isqrt(x)


def test_isqrt_of_every_small_number() -> None:
    x = np.arange(1 << 14)
    assert a.isqrt(x).tolist() == [math.isqrt(n) for n in range(len(x))]
    assert [int(k.isqrt(n)) for n in x] == a.isqrt(x).tolist()


@given(near_powers(1, 2**32 - 1))
@example(1)
@example(2**32 - 1)
@example(2**31)
def test_reciprocal(x: int) -> None:
    r, bits = a.reciprocal(np.array(x))
    assert (one(r), one(bits)) == (2 ** int(bits) // x, x.bit_length() + 29)
    assert 2**29 <= r <= 2**30
    exact = Fraction(1, x)
    error = (Fraction(int(r), 2 ** int(bits)) - exact) / exact
    assert -Fraction(1, 2**29) < error <= 0
    assert tuple(int(part) for part in k.reciprocal(x)) == (int(r), int(bits))


def test_exp2_negative_of_every_input() -> None:
    """Checks the largest error, the end values and monotonicity over all inputs."""
    z = np.arange(a.EXP2_MAX_INPUT + 1)
    found = a.exp2_negative(z)
    error = np.abs(found - 2.0 ** (14 - z / 1024))
    assert 0.540 < error.max() <= 0.541
    assert found[0] == a.EXP2_ONE == 2**14
    assert found[-1] == 0
    assert (np.diff(found) <= 0).all()
    # The compiled form is part of softmax.  The distances of this row of scores are the inputs.
    one, limit = np.array([2], np.int32), np.array([a.EXP2_MAX_INPUT], np.int32)
    for first in range(0, len(z), 1001):
        part = slice(first, first + 1001)
        room = np.zeros(1008, np.int32)
        scores = room[: len(z[part]) + 1]
        scores[1:] = -z[part]
        total, top = softmax_weights(scores, 0, 0, (one, limit, 1))
        assert top == 0
        assert scores[1:].tolist() == found[part].tolist()
        assert total == a.EXP2_ONE + found[part].sum()


def test_exp2_factor_of_every_input() -> None:
    """Checks the largest error, the end values, monotonicity, and the compiled form."""
    z = np.arange(a.FACTOR_MAX_INPUT + 1)
    found = a.exp2_factor(z)
    error = np.abs(found - 2.0 ** (20 - z / 1024))
    assert 3.90 < error.max() <= 3.91
    assert (found[0], found[-1]) == (2**20, 0)
    assert (np.diff(found) <= 0).all()
    assert [int(k.exp2_factor(n)) for n in z] == found.tolist()
    precise = a.rounding_shift_right(found[: a.EXP2_MAX_INPUT + 1], 6)
    assert np.abs(precise - a.exp2_negative(z[: a.EXP2_MAX_INPUT + 1])).max() <= 1


def test_exp2_negative_is_its_formula() -> None:
    """Evaluates (A4) in Python's integers.  Every intermediate result fits in 32 bits."""
    limit = 2**31
    for z in range(a.EXP2_MAX_INPUT + 1):
        i, f = z >> 10, z & 1023
        t = a.EXP2_COEFFICIENTS[4]
        for c in a.EXP2_COEFFICIENTS[3::-1]:
            assert -limit <= t * f < limit
            t = c + (t * f >> 10)
        assert 0 < t + 2 ** (5 + i) < limit
        if z % 61 == 0 or f in (0, 1, 1023):
            assert a.exp2_negative(np.array(z)) == (t + 2 ** (5 + i)) >> (6 + i)


BITS = 200
"""Fraction bits of exact powers.  The first 160 bits are right."""
UNITS = 1 << a.LOG_BITS


def root_of_two(degree: int) -> int:
    """Return 2^(BITS + 1 / degree) for a power of two, by exact square roots."""
    root = 2 << BITS
    for _ in range(degree.bit_length() - 1):
        root = math.isqrt(root << BITS)
    return root


def exact_powers(start: int) -> list[int]:
    """Return `start` times 2^(n / UNITS) for n from 0 to UNITS."""
    ratio, powers = root_of_two(UNITS), [start]
    for _ in range(UNITS):
        powers.append(powers[-1] * ratio >> BITS)
    return powers


def test_the_exact_powers() -> None:
    powers = exact_powers(1 << BITS)
    assert abs(powers[UNITS] - (2 << BITS)) < 2 ** (BITS - 160)
    assert abs(powers[UNITS // 2] ** 2 - (2 << 2 * BITS)) < 2 ** (2 * BITS - 160)


def test_exp2_precise_of_every_fraction() -> None:
    """Checks the largest relative error, the end values and monotonicity over all fractions."""
    found = a.exp2_precise(np.arange(UNITS + 1)).tolist()
    assert found[0] == 1 << a.POWER_BITS
    assert found[-1] == 1 << (a.POWER_BITS - 1)
    assert all(here >= after for here, after in pairwise(found))
    bits = a.POWER_BITS + BITS
    products = map(operator.mul, found, exact_powers(1 << BITS))  # 1 if the error is 0
    error = max(abs(product - (1 << bits)) for product in products)
    assert Fraction(86, 10**9) < Fraction(error, 1 << bits) < Fraction(87, 10**9)


def test_exp2_precise_shifts_by_whole_octaves() -> None:
    fractions = np.unique(np.append(np.arange(0, 1 << 20, 997), (1 << 20) - 1))
    powers = a.exp2_precise(fractions)
    for octaves in (1, 2, 15, 31, 32, 33, 40, 61, 62, 63, 64, 1023):
        found = a.exp2_precise(fractions + (octaves << a.LOG_BITS))
        assert found.tolist() == [power >> octaves for power in powers.tolist()]
        assert found.any() == (octaves <= 32)
    assert a.exp2_precise(np.array([32 << 20, (32 << 20) + 1, 1 << 30])).tolist() == [1, 0, 0]


def test_exp2_precise_is_its_formula() -> None:
    """Evaluates (A5) in Python's integers, and compares the compiled twin."""
    ends = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 25) - 1, 1 << 25, (1 << 25) + 1, 1 << 30]
    for z in [*range(0, 40 << 20, 20011), *ends]:
        i, f = z >> 20, z & (1 << 20) - 1
        c0, c1, c2, c3, c4, c5 = a.POWER_COEFFICIENTS
        t = c3 - (f * (c4 - (f * c5 >> 20)) >> 20)
        t = c0 - (f * (c1 - (f * (c2 - (f * t >> 20)) >> 20)) >> 20)
        assert 2**30 <= t <= 2**31
        assert one(a.exp2_precise(np.array(z))) == 2 * t >> i
        assert int(k.exp2_precise(z)) == 2 * t >> i


@given(near_powers(-(2**30), 2**30))
@example(0)
@example(2**30)
def test_tanh(z: int) -> None:
    """Evaluates (A7) in Python's integers, and compares it with the exact tangent."""
    p = one(a.exp2_precise(np.array(abs(z))))
    wanted = ((2**32 - p) << 30) // (2**32 + p) * (1 if z >= 0 else -1)
    assert one(a.tanh(np.array(z))) == wanted
    power = Decimal(2) ** (-Decimal(abs(z)) / UNITS) if abs(z) < 64 * UNITS else Decimal(0)
    exact = (1 - power) / (1 + power) * 2**30
    assert abs(abs(wanted) - exact) < 49


@given(st.integers(-(2**25), 2**25), st.integers(1, 2000))
def test_tanh_never_falls(z: int, more: int) -> None:
    found = a.tanh(np.arange(z, z + more))
    assert (np.diff(found) >= 0).all()
    assert np.array_equal(a.tanh(-np.arange(z, z + more)), -found)


@given(int32, st.integers(0, 2**31 - 1), st.integers(0, 62))
@example(-(2**31), 2**31 - 1, 0)
def test_soft_cap(x: int, multiplier: int, shift: int) -> None:
    """Evaluates (A8), and compares the compiled twin."""
    z = math.floor(Fraction(x * multiplier, 2**shift) + Fraction(1, 2))
    wanted = one(a.tanh(np.array(max(-(2**30), min(2**30, z)))))
    assert one(a.soft_cap(np.array(x), multiplier, shift)) == wanted
    assert int(k.soft_cap(x, multiplier, shift)) == wanted


def test_log2_of_every_mantissa() -> None:
    """Checks the mantissas at which the result changes.

    The result rises with the mantissa, so these mantissas determine all results.  From n + 1/2
    units on, the exact result is n + 1.  The function never returns n + 1 earlier, and it returns n
    + 1 from the third mantissa on.  A unit has 709 or more mantissas.
    """
    halves = exact_powers(root_of_two(2 * UNITS))[:-1]
    first = np.array([-(-half >> (BITS - 30)) for half in halves])
    units = np.arange(UNITS) + (30 << a.LOG_BITS)
    assert (a.log2(first - 1) == units).all()
    assert (a.log2(first + 2) == units + 1).all()
    assert (a.log2(first) == units).any(), "the bound of the docstring could be lower"
    assert a.log2(np.array([1 << 30, (1 << 31) - 1])).tolist() == [30 << 20, 31 << 20]


@given(st.integers(2**30, 2**31 - 2), st.integers(1, 2000))
def test_log2_rises(x: int, more: int) -> None:
    found = a.log2(np.arange(x, min(x + more, 2**31)))
    assert (np.diff(found) >= 0).all()


@given(near_powers(1, 2**62 - 1))
@example(1)
@example(2**62 - 1)
@example(2**30)
@example(2**31 - 1)
def test_log2(x: int) -> None:
    """Evaluates (A6): octaves plus the logarithm of the 31 highest bits.  Compares the twin."""
    e = x.bit_length() - 1
    mantissa = x << 30 >> e
    wanted = one(a.log2(np.array(mantissa))) + (e - 30 << 20)
    assert one(a.log2(np.array(x))) == wanted
    assert int(k.log2(x)) == wanted
    exact = Decimal(x).log10() / Decimal(2).log10() * UNITS
    assert abs(wanted - exact) < Decimal("0.51")


@given(st.lists(near_powers(0, 2**62 - 1), max_size=5))
def test_arrays_are_their_elements(numbers: list[int]) -> None:
    x = np.array(numbers, np.int64)
    for function in (a.bit_length, a.isqrt):
        assert function(x).tolist() == [int(function(n)) for n in x]
        assert function(x).shape == x.shape


Refusal = tuple[Callable[..., Any], tuple[Any, ...], str]
REFUSALS: list[Refusal] = [
    (a.rounding_shift_right, (np.int64(1), -1), "shift: -1 is outside [0, 62]"),
    (a.rounding_shift_right, (np.int64(1), 63), "shift: 63 is outside [0, 62]"),
    (a.rounding_shift_right, (np.int64(1), np.array([3, 64])), "shift: 64 is outside [0, 62]"),
    (a.rounding_shift_right, (np.int64(2**63 - 1), 1), "would overflow 64 bits"),
    (a.rounding_shift_right, (np.int64(2**63 - 2**61), 62), "would overflow 64 bits"),
    (a.rounding_shift_right, (np.int64(-(2**63)), 1), "would overflow 64 bits"),
    (a.requantize, (np.int64(2**31), 1, 1), "accumulator: 2147483648 is outside"),
    (a.requantize, (np.int64(-(2**31) - 1), 1, 1), "accumulator: -2147483649 is outside"),
    (a.requantize, (np.int32(1), -1, 1), "multiplier: -1 is outside [0, 2147483647]"),
    (a.requantize, (np.int32(1), 2**31, 1), "multiplier: 2147483648 is outside"),
    (a.requantize, (np.int32(1), 1, 63), "shift: 63 is outside [0, 62]"),
    (a.bit_length, (np.array([5, -3]),), "bit_length: -3 is outside"),
    (a.isqrt, (np.int64(-1),), "isqrt: -1 is outside"),
    (a.isqrt, (np.int64(2**62),), "isqrt: 4611686018427387904 is outside"),
    (a.reciprocal, (np.array([1, 0]),), "reciprocal: 0 is outside [1, 4294967295]"),
    (a.reciprocal, (np.int64(2**32),), "reciprocal: 4294967296 is outside"),
    (a.exp2_negative, (np.int64(-1),), "exp2_negative: -1 is outside [0, 16384]"),
    (a.exp2_negative, (np.int64(16385),), "exp2_negative: 16385 is outside [0, 16384]"),
    (a.exp2_factor, (np.int64(-1),), "exp2_factor: -1 is outside [0, 22528]"),
    (a.exp2_factor, (np.int64(22529),), "exp2_factor: 22529 is outside [0, 22528]"),
    (a.exp2_precise, (np.int64(-1),), "exp2_precise: -1 is outside [0, 1073741824]"),
    (a.exp2_precise, (np.int64(2**30 + 1),), "exp2_precise: 1073741825 is outside"),
    (a.tanh, (np.int64(2**30 + 1),), "tanh: 1073741825 is outside [-1073741824, 1073741824]"),
    (a.soft_cap, (np.int64(2**31), 1, 1), "soft_cap: number: 2147483648 is outside"),
    (a.soft_cap, (np.int32(1), -1, 1), "soft_cap: multiplier: -1 is outside [0, 2147483647]"),
    (a.soft_cap, (np.int32(1), 1, 63), "shift: 63 is outside [0, 62]"),
    (a.log2, (np.array([1, 0]),), "log2: 0 is outside [1, 4611686018427387903]"),
    (a.log2, (np.int64(2**62),), "log2: 4611686018427387904 is outside"),
]


@pytest.mark.parametrize(("function", "arguments", "message"), REFUSALS)
def test_refuses_what_it_could_not_answer(
    function: Callable[..., Any], arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(OverflowError, match=re.escape(message)):
        function(*arguments)


def test_empty_arrays_pass() -> None:
    empty = np.zeros((0, 3), np.int32)
    functions = a.bit_length, a.isqrt, a.exp2_negative, a.exp2_precise, a.log2, a.tanh
    for function in (*functions, lambda x: a.requantize(x, 1, 1)):
        assert function(empty).shape == (0, 3)
