"""Sums of four products in 16 bits: the weights that allow them, and exact results."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.kernels.gemm.target import TARGET
from int8ref.spec.pair_sums import OFFSET, fits, quad_of, quads
from tests.helpers.memory import assert_untouched_behind, guarded
from tests.kernels import gemm_cases as gc
from tests.kernels import products as gemm
from tests.kernels.quad_weights import within_quads

WORDS = np.iinfo(np.int16)
EIGHTS = st.lists(
    st.integers(-128, 127) | st.sampled_from([-65, -64, -33, -32, 31, 32, 33, 64]),
    min_size=8,
    max_size=8,
)


def worst_sums(weight: NDArray[np.int8]) -> list[int]:
    """Return the smallest and the largest sum of each quad of int8 [8] for inputs 0 and 255."""
    wide = weight.astype(np.int64)
    found = []
    for quad in ([0, 1, 4, 5], [2, 3, 6, 7]):
        sums = [int(wide[quad] @ x) for x in product([0, 255], repeat=4)]
        found += [min(sums), max(sums)]
    return found


@given(EIGHTS)
def test_fits_if_no_sum_leaves_16_bits(weights: list[int]) -> None:
    weight = np.array([weights], np.int8)
    within = all(WORDS.min <= total <= WORDS.max for total in worst_sums(weight[0]))
    assert fits(weight) == within
    assert fits(within_quads(weight))


@given(st.integers(1, 40))
def test_quads_have_four_inputs(depth: int) -> None:
    owner = quad_of(depth)
    assert owner.max() < quads(depth) == -(-depth // 8) * 2
    assert np.bincount(owner).max() <= 4
    assert quad_of(16).tolist() == [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]


def test_one_quad_too_large_is_seen() -> None:
    weight = np.zeros((70, 21), np.int8)
    weight[69, [16, 17, 20]] = 64, 32, 32
    assert fits(weight)
    weight[69, 20] = 33
    assert not fits(weight)


@pytest.mark.skipif(not TARGET.pair_products, reason="this CPU has faster dot products")
@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 14),
    n=st.sampled_from([1, 8, 63, 64, 65, 130]),
    k=st.sampled_from([1, 7, 8, 9, 64, 300]),
    extreme=st.sampled_from([None, *gc.EXTREMES]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape(m: int, n: int, k: int, extreme: tuple[int, int] | None, seed: int) -> None:
    case = gc.make_case(np.random.default_rng(seed), m, n, k, extreme)
    weight = within_quads(case.weight)
    start = gemm.start_values(weight, case.bias, OFFSET)
    room = guarded((gemm.workspace_bytes(m, k),), np.uint8)
    sums = guarded((m, n), np.int32)
    gemm.gemm_quads(case.x, gemm.pack(weight), start, sums, room)
    np.testing.assert_array_equal(sums, gc.exact(case.x, weight, case.bias))
    assert_untouched_behind(room, sums)
