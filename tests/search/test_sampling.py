"""Sampling: random numbers, weights, drawn tokens and their frequencies."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from int8ref.reference.log_softmax import LogSoftmax
from int8ref.search.hypothesis import Sampling
from int8ref.search.sampling import (
    STEP,
    drawn,
    mixed,
    random_numbers,
    scaled,
    weights,
)
from int8ref.spec.limits import MAX_TEMPERATURE

UNIT = LogSoftmax(x="x", multiplier=1 << 20, shift=10, out="out")
"""The unit of a logit is 2^-10 octaves."""
logits = st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=12)


def test_random_numbers_are_those_of_splitmix64() -> None:
    """The first five numbers of the seed 1234567, as published with the algorithm."""
    places = np.arange(1, 6, dtype=np.uint64) * STEP + np.uint64(1234567)
    assert mixed(places).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
        16408922859458223821,
    ]  # fmt: skip


def in_python(seed: int, text: int, step: int) -> int:
    """Return a random number, computed in unbounded integers."""

    def mixed(x: int) -> int:
        x %= 2**64
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    gamma = 0x9E3779B97F4A7C15
    return mixed(mixed(seed + gamma) + ((text << 20) + step + 1) * gamma) >> 33


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, 2**44 - 1), min_size=1, max_size=3))
@example(2**63 - 1, [2**44 - 1])
def test_random_numbers_are_spread(seed: int, texts: list[int]) -> None:
    found = random_numbers(seed, texts, 64)
    wanted = [[in_python(seed, text, step) for step in range(64)] for text in texts]
    assert found.tolist() == wanted
    for row in wanted:
        assert all(0 <= number < 2**31 for number in row)
        assert len(set(row)) > 60
        assert 0.25 < np.mean(row) / 2**31 < 0.75


@given(st.integers(1, 2**30 - 1), st.integers(0, 36), st.integers(1, MAX_TEMPERATURE))
def test_the_factor_is_divided_by_the_temperature(m: int, shift: int, temperature: int) -> None:
    multiplier, bits = scaled(LogSoftmax(x="x", multiplier=m, shift=shift, out="out"), temperature)
    assert 0 <= multiplier < 2**30
    exact = Fraction(100 * m, temperature << shift)
    if bits > 0:
        assert abs(Fraction(multiplier, 1 << bits) - exact) <= Fraction(2, 1 << bits)


@given(logits, st.sampled_from([1, 50, 100, 130, 10_000]))
def test_weights_are_powers(x: list[int], temperature: int) -> None:
    found = weights(np.array([x], np.int32), UNIT, Sampling(temperature))[0]
    for logit, weight in zip(x, found.tolist(), strict=True):
        exact = 2.0 ** (32 - (max(x) - logit) / 1024 * 100 / temperature)
        # The exponent is rounded to 2^-20.  Its factor is rounded too.
        error = 1e-6 * (1 + (max(x) - logit) / 1024)
        assert math.isclose(weight, exact, rel_tol=max(error, 1e-5), abs_tol=1)


@given(logits, st.integers(1, 12), st.integers(1, 100))
def test_top_k_and_top_p_keep_the_likeliest(x: list[int], k: int, p: int) -> None:
    row = np.array([x], np.int32)
    every = weights(row, UNIT, Sampling(100))[0]
    kept = weights(row, UNIT, Sampling(100, top_k=k))[0]
    least = sorted(x)[-min(k, len(x))]
    assert kept.tolist() == [w if v >= least else 0 for w, v in zip(every, x, strict=True)]
    both = weights(row, UNIT, Sampling(100, top_k=k, top_p=p))[0].tolist()
    bounds = [v for v in set(kept.tolist()) if 100 * kept[kept >= v].sum() >= p * kept.sum()]
    assert both == [w if w >= max(bounds) else 0 for w in kept.tolist()]


@given(
    st.lists(st.integers(0, 2**32), min_size=1, max_size=9).filter(any),
    st.integers(0, 2**31 - 1),
)
@example([1], 2**31 - 1)
@example([0, 1, 0], 0)
@example([2**32] * 9, 2**31 - 1)
def test_what_is_drawn(weight: list[int], number: int) -> None:
    """The number is within the weights of the drawn token, except for two units."""
    token = drawn(np.array(weight), number)
    assert weight[token] > 0
    bound = Fraction(number * sum(weight), 2**31)
    assert sum(weight[:token]) <= bound
    assert bound - 2 < sum(weight[: token + 1])


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    """4,000 draws of probabilities 1/2, 1/4, 1/8, 1/8 are within five standard deviations."""
    row = weights(np.array([[3072, 2048, 1024, 1024]], np.int32), UNIT, Sampling())[0]
    numbers = random_numbers(5, range(40), 100).ravel().tolist()
    found = np.array([drawn(row, number) for number in numbers])
    for token, probability in enumerate([1 / 2, 1 / 4, 1 / 8, 1 / 8]):
        count = (found == token).sum()
        assert abs(count - 4000 * probability) < 5 * math.sqrt(4000 * probability)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": 0}, "temperature is 0"),
        ({"temperature": 10_001}, "temperature is 10001"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0}, "top_p is 0"),
        ({"top_p": 101}, "top_p is 101"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
    ],
)
def test_what_is_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampling(**fields)
