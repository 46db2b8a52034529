"""Scales as integers: factors of 15 bits, exact grids, and biases of 16 bits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from int8ref.kernels.gemm.layout import narrow, start_values
from int8ref.reference.linear import MAX_FACTOR_SHIFT
from weights_import.errors import LoweringError
from weights_import.lowering.least_scales import at_least
from weights_import.lowering.scale_propagation import (
    START_BITS,
    factors,
    integer_bias,
    row_scales,
    whole_factors,
)
from weights_import.tensors import Float64


def positive(low: float, high: float) -> st.SearchStrategy[Float64]:
    """Draw some numbers on a logarithmic scale."""
    exponents = st.lists(st.floats(low, high), min_size=1, max_size=12)
    return exponents.map(lambda logs: 2.0 ** np.array(logs))


@given(positive(-40, 10))
def test_factors_are_the_nearest_with_the_largest_shift(ratio: Float64) -> None:
    multiplier, shift = factors(ratio, 1, 62)
    assert multiplier.dtype == np.int16
    assert shift.shape == (1,)
    unit = Fraction(1, 2 ** int(shift[0]))
    for m, wanted in zip(multiplier.tolist(), ratio.tolist(), strict=True):
        assert abs(m * unit - Fraction(wanted)) <= unit / 2
    assert multiplier.max() > 2**13 or shift[0] == 62  # one more bit would not fit


@pytest.mark.parametrize("ratio", [0.6, 0.0, -1.0])
def test_refuses_ratios_without_factors(ratio: float) -> None:
    with pytest.raises(LoweringError, match="no shift from 16 on"):
        factors(np.array([ratio, 0.1]), 16, MAX_FACTOR_SHIFT)


@given(positive(-30, -18), st.data())
def test_whole_factors_lead_to_the_scale_exactly(scales: Float64, data: st.DataObject) -> None:
    logs = data.draw(st.lists(st.floats(-8, 0), min_size=len(scales), max_size=len(scales)))
    wanted = 2.0 ** np.array(logs)
    found = whole_factors(scales, wanted)
    assert (found >= scales).all()
    multiplier, shift = factors(found / wanted, 16, MAX_FACTOR_SHIFT)
    np.testing.assert_allclose(multiplier * 2.0 ** -shift.astype(float), found / wanted, rtol=1e-15)
    assert (multiplier > 0).all()
    coarser = (found - scales) / wanted
    assert coarser.max() <= (scales / wanted).max() / 2**13


@given(
    st.lists(st.integers(-(2**29), 2**29), min_size=1, max_size=9), st.floats(1e-9, 1e3), st.data()
)
def test_a_bias_has_the_smallest_shift(bias: list[int], scale: float, data: st.DataObject) -> None:
    exact = np.array(bias, np.float64)
    integers, shift = integer_bias(exact * scale, scale)
    assert np.abs(integers.astype(np.int64) * 2**shift - exact).max() <= 2**shift / 2 + 1e-6
    assert shift == 0 or np.abs(np.rint(exact / 2 ** (shift - 1))).max() > 32767
    most = data.draw(st.integers(0, 15))
    if shift > most:
        with pytest.raises(LoweringError, match="does not fit beside its weight"):
            integer_bias(exact * scale, scale, most)


@given(st.integers(0, 2**32 - 1), st.sampled_from([64, 256, 1024, 2048]))
def test_start_values_fit_where_a_small_shift_suffices(seed: int, depth: int) -> None:
    """Holds on CPUs that add 128 to the inputs, and on other CPUs."""
    random = np.random.default_rng(seed)
    lean = random.integers(-60, 61, (9, 1))
    weight = np.clip(random.normal(lean, 40, (9, depth)), -127, 127).astype(np.int8)
    bias = random.normal(0, 10.0 ** random.uniform(0, 6), 9)
    sums = weight.sum(axis=1, dtype=np.int64)
    integers, shift = integer_bias(bias, 1.0, sums=sums)
    shifted = integers.astype(np.int32) << shift
    kept = [narrow(start_values(weight, shifted, offset), shift) for offset in (0, 128)]
    assume(shift <= START_BITS)
    assume(np.abs(np.rint(bias) - 128 * sums).max() <= 32767 << START_BITS)
    assert all(units is not None for units in kept)


@given(positive(-30, 10), positive(-30, 10), st.sampled_from([1, 2]))
def test_scales_are_raised_to_what_is_reached(scale: Float64, least: Float64, group: int) -> None:
    scale = np.resize(scale, 6)
    least = np.resize(least, 6)
    raised = at_least(scale, least, group)
    assert (raised >= np.maximum(scale, least) * (1 - 1e-15)).all()
    factor = (raised / scale).reshape(-1, group)
    np.testing.assert_allclose(factor, factor[:, :1].repeat(group, axis=1), rtol=1e-12)
    enough = (scale >= least).reshape(-1, group).all(axis=1).repeat(group)
    np.testing.assert_array_equal(raised[enough], scale[enough])


def test_a_row_of_zeros_has_a_scale_that_suits_the_others() -> None:
    w = np.array([[0.0, 0.0], [1e-6, 0.0], [0.0, 127e-6]])
    np.testing.assert_allclose(row_scales(w), [1e-6, 1e-6 / 127, 1e-6])
