"""The frequencies of scaled positions: limits of each method, and its cases one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights_import.sources import rope_scaling, rotary_heads
from weights_import.sources.rope_scaling import Ramp

F = np.array(rotary_heads.frequencies(10000.0, 64))


def test_an_odd_number_of_columns_counts_one_more() -> None:
    np.testing.assert_allclose(rotary_heads.frequencies(100.0, 3), [1, 100 ** (-2 / 3)], rtol=1e-15)
    assert rotary_heads.frequencies(100.0, 0) == ()


@given(factor=st.floats(1, 100), original=st.integers(64, 1 << 14))
def test_llama3_keeps_short_waves_and_stretches_long_ones(factor: float, original: int) -> None:
    found = rope_scaling.by_wavelength(F, factor, original, 1.0, 4.0)
    lengths = 2 * math.pi / F
    short, long = lengths < original / 4.001, lengths > original / 0.999
    np.testing.assert_allclose(found[short], F[short], rtol=1e-12)
    np.testing.assert_allclose(found[long], F[long] / factor, rtol=1e-12)
    assert ((found <= F * (1 + 1e-12)) & (found >= F / factor * (1 - 1e-12))).all()


@given(
    factor=st.floats(1, 100),
    original=st.integers(2, 1 << 17),
    slow=st.floats(0.01, 1),
    whole=st.booleans(),
)
def test_yarn_is_between_both(factor: float, original: int, slow: float, whole: bool) -> None:
    ramp = Ramp(10000.0, 64, original, 32.0, slow, whole)
    heights = ramp.over(len(F))
    assert ((heights >= 0) & (heights <= 1)).all()
    found = rope_scaling.by_ramp(F, factor, ramp)
    assert ((found <= F * (1 + 1e-12)) & (found >= F / factor * (1 - 1e-12))).all()


def test_yarn_by_hand() -> None:
    """The pair that turns t times in L positions is d ln(L / (2 pi t)) / (2 ln(base))."""
    ramp = Ramp(10000.0, 64, 4096, 32.0, 1.0)
    first, last = (64 * math.log(4096 / (2 * math.pi * t)) / 2 / math.log(1e4) for t in (32, 1))
    wanted = np.clip(
        (np.arange(32) - math.floor(first)) / (math.ceil(last) - math.floor(first)), 0, 1
    )
    np.testing.assert_allclose(ramp.over(32), wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (rope_scaling.yarn_magnitude(1.0), 1.0),
        (rope_scaling.yarn_magnitude(0.5), 1.0),
        (rope_scaling.yarn_magnitude(16.0), 0.1 * math.log(16) + 1),
        (rope_scaling.yarn_magnitude(16.0, 0.5), 0.05 * math.log(16) + 1),
        (rope_scaling.longrope_magnitude(32.0, 4096), math.sqrt(1 + 5 / 12)),
        (rope_scaling.longrope_magnitude(1.0, 4096), 1.0),
        (rope_scaling.longrope_magnitude(2.0, 1), 1.0),
    ],
)
def test_magnitudes(found: float, wanted: float) -> None:
    assert found == pytest.approx(wanted, rel=1e-12)
