"""The order of channels in blocks of one size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from weights_import.operations.activation import ALIKE, in_blocks

LARGEST = np.array([1, 1.1, 1.2, 1.3, 1.4, 1.5, 3, 20.0])
WEIGHTS = np.array([5, 4, 3, 2, 1, 6, 7, 8.0])


def test_a_large_channel_shares_its_block_with_light_ones() -> None:
    """By hand: 20 takes the lightest channel; 3 and 1.5 are within a factor of 2, and so on."""
    assert in_blocks(LARGEST, WEIGHTS, 4).tolist() == [1, 0, 3, 2, 6, 5, 4, 7]


def test_without_weights_channels_are_sorted() -> None:
    assert in_blocks(LARGEST[::-1], None, 4).tolist() == list(range(8))[::-1]
    assert in_blocks(LARGEST[::-1], WEIGHTS, 1).tolist() == list(range(8))[::-1]


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_every_block_holds_its_largest_channel_and_smaller_ones(
    blocks: int, each: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    largest, weights = np.exp(random.normal(0, 2, (2, blocks * each)))
    order = in_blocks(largest, weights, blocks)
    assert sorted(order.tolist()) == list(range(blocks * each))
    ends = largest[order].reshape(blocks, each).max(axis=1)
    assert np.all(np.diff(ends) >= 0)
    for block, end in zip(order.reshape(blocks, each), ends, strict=True):
        others = block[largest[block] * ALIKE < end]
        assert len(others) < each
