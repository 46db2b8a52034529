"""Scales between one for all channels and one for each channel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weights_import.lowering.channel_scales import GREATEST, SMALLEST_SHARE, channel_scales
from weights_import.tensors import Float64

NUMBER = st.one_of(st.just(0.0), st.floats(0.125, 1000, width=32))
CHANNELS = st.lists(st.tuples(NUMBER, NUMBER, st.integers(-30, 30)), min_size=1, max_size=9)
ONES = np.ones(4)
Drawn = list[tuple[float, float, int]]


def parts(channels: Drawn) -> tuple[Float64, Float64, Float64]:
    """Return largest values, weights, and powers of two."""
    own, weights, powers = np.array(channels, np.float64).T
    return own, weights, np.exp2(powers)


@given(CHANNELS, st.floats(0, 1), st.sampled_from([127, 254]))
def test_nothing_of_the_sample_is_clipped(channels: Drawn, spread: float, largest: int) -> None:
    """A channel that is always zero also has a scale, and a channel that no weight reads."""
    own, weights, _ = parts(channels)
    scales = channel_scales(own, weights, spread, largest)
    assert np.all(scales > 0)
    assert np.all(scales * largest >= own * (1 - 1e-6))


@given(CHANNELS, st.floats(0, 1))
def test_no_channel_takes_the_bits_of_the_weights(channels: Drawn, spread: float) -> None:
    """A scale times its weight is at most the largest importance, and at least a share of it, or of
    GREATEST times the median."""
    own, weights, _ = parts(channels)
    most = float((own * weights).max())
    folded = channel_scales(own, weights, spread, 1) * weights
    read = weights > 0
    if most:
        assert np.all(folded[read] <= most * (1 + 1e-6))
        usual = float(np.median((own * weights)[own * weights > 0]))
        least = min(most, GREATEST * usual) * SMALLEST_SHARE
        assert np.all(folded[read] >= least * (1 - 1e-6))


@given(CHANNELS, st.floats(0, 1))
def test_a_channel_and_its_weights_may_have_any_size(channels: Drawn, spread: float) -> None:
    """If it grows and its weights shrink by a power of two, its integers are the same bits."""
    own, weights, powers = parts(channels)
    read = (own > 0) & (weights > 0)
    plain = channel_scales(own, weights, spread)
    grown = channel_scales(own * powers, weights / powers, spread)
    np.testing.assert_array_equal(grown[read], (plain * powers)[read])


def test_the_spread_interpolates_in_the_logarithm() -> None:
    maxima = np.array([8.0, 2.0, 0.5, 0.0])
    np.testing.assert_allclose(channel_scales(maxima, ONES, 0.0) * 127, [8, 8, 8, 8])
    np.testing.assert_allclose(channel_scales(maxima, ONES, 0.5) * 127, [8, 4, 2, 1])
    np.testing.assert_allclose(channel_scales(maxima, ONES, 1.0) * 127, [8, 2, 0.5, 0.125])
    np.testing.assert_allclose(channel_scales(maxima, ONES, 1.0, 254) * 254, [8, 2, 0.5, 0.125])


def test_without_a_spread_scales_are_in_inverse_proportion_to_the_weights() -> None:
    maxima, weights = np.array([8.0, 2.0, 0.5, 0.0]), np.array([1.0, 2.0, 4.0, 8.0])
    np.testing.assert_allclose(channel_scales(maxima, weights, 0.0) * 127, [8, 4, 2, 1])


def test_channels_that_no_weight_reads() -> None:
    for maxima, largest in (([3.0, 0.0], 3.0), ([0.0, 0.0], 1.0)):
        found = channel_scales(np.array(maxima), np.zeros(2), 0.5)
        np.testing.assert_allclose(found * 127, [largest, largest])


def test_a_channel_of_one_huge_weight_leaves_the_others_their_bits() -> None:
    maxima, weights = np.ones(5), np.array([1.0, 1.0, 1.0, 1.0, 1e9])
    np.testing.assert_allclose(channel_scales(maxima, weights, 1.0) * 127, np.ones(5))
    found = channel_scales(maxima, weights, 0.5) * 127
    np.testing.assert_allclose(found, [4, 4, 4, 4, 1])
