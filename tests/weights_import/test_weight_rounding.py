"""Nearest-plane rounding equals its definition, has the same bits everywhere, and keeps its bounds.

`planes` and `gram_of` add in the order that the docstrings state, with NumPy alone: the kernels
give the same bits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.spec.pair_sums import LARGEST_SUM, fits, quad_of, quads
from tests.helpers.processes import TIMEOUT
from tests.kernels.quad_weights import within_quads
from weights_import.arithmetic.product import DEPTH
from weights_import.arithmetic.rounding import BLOCK
from weights_import.lowering.scale_propagation import quantize, row_scales
from weights_import.lowering.weight_rounding import Inputs, Moments, round_weight

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

ROOT = Path(__file__).parents[2]
CHANNELS = [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 9]
MARGIN = 0.001
"""Share by which the error may differ from that of float64, because a few elements are rounded the
other way.  It was 0.0003 at most in 40 draws."""


def correlated(rows: int, channels: int, seed: int) -> Float32:
    random = np.random.default_rng(seed)
    mixing = random.normal(0, 1, (channels, channels)) / np.sqrt(channels)
    loud = np.exp(random.normal(0, 1, channels))
    hidden = random.normal(0, 1, (rows, channels)) * loud
    return (hidden @ mixing.T).astype(np.float32)


def inputs_of(x: Float32, scale: float | Float64 = 1.0) -> Inputs:
    return Inputs.of(Moments.of(x), np.atleast_1d(np.float64(scale)))


def defined(w: Float64, inputs: Inputs) -> Float64:
    """Apply the definition in the docstring, one column at a time, in float64."""
    factor, found = inputs.factor.astype(np.float64), np.zeros_like(w)
    exact, taken = w[:, inputs.order], factor / np.diag(factor)
    error = np.zeros_like(w)
    for place in reversed(range(len(factor))):
        t = exact[:, place] + error[:, place + 1 :] @ taken[place + 1 :, place]
        found[:, inputs.order[place]] = q = np.clip(np.rint(t), -127, 127)
        error[:, place] = exact[:, place] - q
    return found


def summed(error: Float32, taken: Float32) -> Float32:
    """(0 + error[0] * taken[0]) + ...: [columns, n], for [count, n] and [count, columns]."""
    total = np.zeros((taken.shape[1], error.shape[1]), np.float32)
    for line, share in zip(error, taken, strict=True):
        total = total + share[:, None] * line
    return total


def planes(w: Float64, scale: Float64, inputs: Inputs, in_quads: bool) -> NDArray[np.int8]:
    """The integers of `round_weight`, in the order of its sums."""
    n, k = w.shape
    taken = inputs.factor / np.diag(inputs.factor)
    error = (w[:, inputs.order] / scale[:, None]).T.astype(np.float32)
    target, found = error.copy(), np.empty((n, k), np.int8)
    room = np.full((quads(k), 2, n), float(LARGEST_SUM) if in_quads else np.inf)
    for last in range(k, 0, -BLOCK):
        first = max(0, last - BLOCK)
        for c in reversed(range(first, last)):
            later, channel = slice(c + 1, last), inputs.order[c]
            t = target[c] + summed(error[later], taken[later, c : c + 1])[0]
            above, below = room[quad_of(k)[channel]]
            q = np.clip(np.rint(t), -np.minimum(below, 127), np.minimum(above, 127))
            above -= np.maximum(q, 0)
            below += np.minimum(q, 0)
            error[c] -= q.astype(np.float32)
            found[:, channel] = q
        target[:first] += summed(error[first:last], taken[first:last, :first])
    return found


def tied(w: Float64, scale: Float64, inputs: Inputs, place: int, seed: int) -> Float64:
    """The weights with a column in the middle between integers, where each float's rounding decides
    what the column becomes."""
    error = (w / scale[:, None] - planes(w, scale, inputs, False))[:, inputs.order]
    share = inputs.factor[place + 1 :, place] / inputs.factor[place, place]
    halves = np.random.default_rng(seed).integers(-60, 60, len(w)) + 0.5
    found = w.copy()
    found[:, inputs.order[place]] = (halves - error[:, place + 1 :] @ share) * scale
    return found


def gram_of(moments: Moments, x: Float32) -> Float32:
    """The Gram matrix of `Moments`, in the order of its sums."""
    scaled = np.ldexp(x, -moments.exponents)
    total = np.zeros((x.shape[1], x.shape[1]), np.float32)
    for first in range(0, len(x), DEPTH):
        block = scaled[first : first + DEPTH]
        total += summed(block, block)
    return total / np.float32(len(x))


@given(st.integers(0, 2**32 - 1), st.sampled_from(CHANNELS))
def test_it_is_what_it_is_defined_to_be(seed: int, channels: int) -> None:
    """The numbers have few bits, so float32 computes without an error."""
    random = np.random.default_rng(seed)
    few = random.random((channels, channels)) < min(1.0, 2 / channels)
    factor = np.eye(channels) + np.tril(few * random.integers(-1, 2, few.shape) / 2, -1)
    inputs = Inputs(random.permutation(channels), factor.astype(np.float32))
    w = random.integers(-140 * 8, 141 * 8, (3, channels)) / 8
    found = round_weight(w * 0.5, np.array([0.5]), inputs)
    np.testing.assert_array_equal(found.x, defined(w, inputs))


@pytest.mark.parametrize("in_quads", [False, True])
@given(st.integers(0, 2**32 - 1), st.sampled_from(CHANNELS), st.sampled_from([1, 31, 32, 70]))
def test_sums_have_the_stated_order(in_quads: bool, seed: int, channels: int, rows: int) -> None:
    plain = np.random.default_rng(seed).standard_t(3, (rows, channels))
    inputs, scale = inputs_of(correlated(200, channels, seed)), row_scales(plain)
    w = tied(plain, scale, inputs, seed % channels if seed % 2 else 0, seed)
    for given_w in (w, np.asfortranarray(w.astype(np.float32))):
        wanted = planes(given_w.astype(np.float64), scale, inputs, in_quads)
        found = round_weight(given_w, scale, inputs, in_quads)
        np.testing.assert_array_equal(found.x, wanted)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(CHANNELS),
    st.sampled_from([1, DEPTH - 1, DEPTH + 1]),
    st.sampled_from([0, 60]),
)
def test_moments_have_the_stated_order(seed: int, channels: int, rows: int, spread: int) -> None:
    powers = np.random.default_rng(seed).integers(-spread, spread + 1, channels)
    x = np.ldexp(correlated(rows, channels, seed), powers)
    moments = Moments.of(x)
    largest = np.ldexp(np.abs(x).max(axis=0), -moments.exponents)
    assert np.all((largest >= 0.5) & (largest < 1))
    np.testing.assert_array_equal(moments.gram, gram_of(moments, x))
    np.testing.assert_array_equal(moments.gram, moments.gram.T)


@given(st.integers(0, 2**32 - 1))
def test_uncorrelated_inputs_give_the_nearest_integers(seed: int) -> None:
    random = np.random.default_rng(seed)
    w = random.normal(0, 1, (4, 30))
    factor = np.diag(random.uniform(0.1, 3, 30)).astype(np.float32)
    found = round_weight(w, row_scales(w), Inputs(random.permutation(30), factor))
    expected = quantize(w, row_scales(w))
    distance = np.abs(w / expected.scale[:, None] % 1 - 0.5)
    assert np.all((found.x == expected.x) | (distance < 1e-4))


@pytest.mark.parametrize("channels", [12, 150])
def test_every_remaining_error_is_below_half_a_step(channels: int) -> None:
    """Babai's bound: along the columns of the factor, the error is at most half of the diagonal."""
    inputs = inputs_of(correlated(2000, channels, 1))
    w = np.random.default_rng(2).uniform(-1, 1, (40, channels))
    found = round_weight(w, np.array([1 / 60]), inputs)
    error = (w / found.scale - found.x)[:, inputs.order] @ inputs.factor
    assert np.all(np.abs(error) <= np.diag(inputs.factor) * 0.5001)


def test_outputs_move_less_than_with_nearest_rounding() -> None:
    """Measured on rows that did not determine the factor."""
    x = correlated(6000, 100, 3)
    w = np.random.default_rng(4).normal(0, 1, (50, 100))
    scale = row_scales(w)
    plane = round_weight(w, scale, inputs_of(x[:3000]))
    nearest = quantize(w, scale)

    def error(q: NDArray[np.int8]) -> float:
        return float(np.square(x[3000:] @ (q * scale[:, None] - w).T).mean())

    assert error(plane.x) < 0.6 * error(nearest.x)


@pytest.mark.parametrize("seed", range(4))
def test_float32_is_as_good_as_float64(seed: int) -> None:
    """The factor and the rounding of float64, by LAPACK."""
    x = correlated(1000, 300, seed)
    w = np.random.default_rng(seed).standard_t(5, (100, 300))
    scale, inputs = row_scales(w), inputs_of(x)
    gram = x.T.astype(np.float64) @ x / len(x)
    order = np.argsort(np.diag(gram), kind="stable")
    damped = gram + 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram))
    exact = Inputs(order, np.linalg.cholesky(damped[np.ix_(order, order)]))

    def error(q: NDArray[Any]) -> float:
        return float(np.square((w - q * scale[:, None]) @ x.T).sum())

    best = error(defined(w / scale[:, None], exact))
    assert abs(error(round_weight(w, scale, inputs).x) - best) < MARGIN * best


def test_inputs_are_the_gram_matrix_in_units_of_the_scale() -> None:
    x = correlated(500, 7, 5)
    scale = np.linspace(0.5, 2, 7)
    inputs = inputs_of(x, scale)
    gram = (x / scale).T @ (x / scale) / 500
    damping = 0.1 * np.trace(gram) / 7
    assert np.all(np.diff(np.diag(gram)[inputs.order]) >= 0)
    expected = (gram + damping * np.eye(7))[np.ix_(inputs.order, inputs.order)]
    np.testing.assert_allclose(inputs.factor @ inputs.factor.T, expected, rtol=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(-60, 60))
def test_powers_of_two_change_no_bit(seed: int, power: int) -> None:
    """One for all channels, and one for each."""
    x = correlated(50, 40, seed)
    scale = np.random.default_rng(seed).uniform(0.01, 1, 40)
    powers = power + np.random.default_rng(seed).integers(-20, 21, 40)
    for given_scale, grown in (scale, powers), (np.ones(1), np.array([power])):
        plain = inputs_of(x, given_scale)
        scaled = inputs_of(np.ldexp(x, grown), np.ldexp(given_scale, grown))
        np.testing.assert_array_equal(scaled.order, plain.order)
        np.testing.assert_array_equal(scaled.factor, plain.factor)


@pytest.mark.parametrize("rows", [0, 10])
def test_inputs_that_are_always_zero(rows: int) -> None:
    w = np.random.default_rng(6).normal(0, 1, (3, 9))
    found = round_weight(w, row_scales(w), inputs_of(np.zeros((rows, 9), np.float32)))
    np.testing.assert_array_equal(found.x, quantize(w, row_scales(w)).x)


def test_a_channel_that_is_always_zero() -> None:
    """It takes up no error, and the others do not notice it."""
    x, w = correlated(100, 20, 7), np.random.default_rng(7).normal(0, 1, (30, 20))
    x[:, 3] = 0
    scale = row_scales(w)
    found = round_weight(w, scale, inputs_of(x)).x
    np.testing.assert_array_equal(found[:, 3], quantize(w, scale).x[:, 3])


def test_one_row_of_inputs() -> None:
    """The errors cancel almost wholly."""
    x, w = correlated(1, 40, 8), np.random.default_rng(8).normal(0, 1, (30, 40))
    scale = row_scales(w)
    found, nearest = round_weight(w, scale, inputs_of(x)), quantize(w, scale)

    def error(q: NDArray[np.int8]) -> float:
        return float(np.square(x @ (q * scale[:, None] - w).T).mean())

    assert error(found.x) < 0.1 * error(nearest.x)


@pytest.mark.parametrize(("size", "scale"), [(1e30, 1e30), (1e30, 1e-30), (1e-40, 1e-30)])
def test_inputs_of_any_size(size: float, scale: float) -> None:
    """Beyond LARGEST_UNIT a unit is LARGEST_UNIT, and an input below all units is a zero."""
    x = correlated(100, 70, 9) * np.float32(size)
    inputs = inputs_of(x, scale)
    assert np.all(np.isfinite(inputs.factor))
    assert np.all(np.diag(inputs.factor) > 0)
    w = np.random.default_rng(9).normal(0, 1, (5, 70))
    found = round_weight(w, row_scales(w), inputs)
    np.testing.assert_array_equal(found.x, planes(w, row_scales(w), inputs, False))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 8, BLOCK + 1, 2 * BLOCK + 9]))
def test_quads_take_no_more_than_there_is(seed: int, channels: int) -> None:
    """Quads never exceed the limit.  With coarse scales, the weights hardly change."""
    random = np.random.default_rng(seed)
    w = random.standard_t(3, (5, channels))
    inputs = inputs_of(correlated(200, channels, seed))
    fine, coarse = row_scales(w), row_scales(w, quads=True)
    assert np.all(coarse >= fine)
    assert fits(round_weight(w, fine, inputs, in_quads=True).x)
    found = round_weight(w, coarse, inputs, in_quads=True)
    assert fits(found.x)
    free = round_weight(w, coarse, inputs)
    assert np.mean(np.abs(found.x.astype(int) - free.x)) < 1


@given(st.integers(0, 2**32 - 1))
def test_a_quad_at_its_limit_is_full(seed: int) -> None:
    """Exact multiples of the scale do not change."""
    random = np.random.default_rng(seed)
    integers = within_quads(random.integers(-127, 128, (4, 30)).astype(np.int8))
    inputs = inputs_of(correlated(100, 30, seed))
    found = round_weight(integers / 4.0, np.full(4, 0.25), inputs, in_quads=True)
    np.testing.assert_array_equal(found.x, np.maximum(integers, -127))


DIGEST = """
import hashlib, sys
import numpy as np
from weights_import.arithmetic import threads
from weights_import.lowering.weight_rounding import Inputs, Moments, round_weight
threads.processors = lambda: int(sys.argv[1])
random = np.random.default_rng(0)
digest = hashlib.sha256()
x = random.normal(size=(600, 200)).astype(np.float32)
x[:, 1:] += x[:, :-1]
w, scale = random.normal(size=(150, 200)), random.uniform(0.02, 0.03, 150)
moments = Moments.of(x)
inputs = Inputs.of(moments, random.uniform(0.1, 1, 200))
found = [round_weight(w, scale, inputs, in_quads).x for in_quads in (False, True)]
for array in (moments.gram, moments.exponents, inputs.order, inputs.factor, *found):
    digest.update(array.tobytes())
print(digest.hexdigest())
"""


def digest(threads: int, **environment: str) -> str:
    """Return the digest of results of another process with so many threads."""
    run = subprocess.run(
        [sys.executable, "-c", DIGEST, str(threads)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_threads_change_no_bit() -> None:
    assert digest(1) == digest(2)


@pytest.mark.skipif(
    not llvm.get_process_triple().startswith("x86_64"), reason="these are instructions of x86-64"
)
def test_instructions_change_no_bit() -> None:
    assert digest(1, NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="+sse2") == digest(1)
