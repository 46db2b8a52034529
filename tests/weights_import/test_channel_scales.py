"""Scales between one for all channels and one for each channel."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weights_import.channel_scales import SMALLEST_SHARE, channel_scales

MAXIMUM = st.one_of(st.just(0.0), st.floats(0.125, 1000, width=32))
MAXIMA = st.lists(MAXIMUM, min_size=1, max_size=9).map(lambda x: np.array(x, np.float32))


@given(MAXIMA, st.floats(0, 1), st.sampled_from([127, 254]))
def test_nothing_of_the_sample_is_clipped(
    maxima: np.ndarray[tuple[int], np.dtype[np.float32]], spread: float, largest: int
) -> None:
    """A channel that is always zero also has a scale."""
    reached = channel_scales(maxima, spread, largest) * largest
    common = float(maxima.max()) or 1.0
    assert np.all(reached >= maxima * (1 - 1e-6))
    assert np.all(reached <= common * (1 + 1e-6))
    assert np.all(reached >= common * SMALLEST_SHARE * (1 - 1e-6))


def test_the_spread_interpolates_in_the_logarithm() -> None:
    maxima = np.array([8.0, 2.0, 0.5, 0.0], np.float32)
    np.testing.assert_allclose(channel_scales(maxima, 0.0) * 127, [8, 8, 8, 8])
    np.testing.assert_allclose(channel_scales(maxima, 0.5) * 127, [8, 4, 2, 1])
    np.testing.assert_allclose(channel_scales(maxima, 1.0) * 127, [8, 2, 0.5, 0.125])
    np.testing.assert_allclose(channel_scales(maxima, 1.0, 254) * 254, [8, 2, 0.5, 0.125])
