"""The largest output of each row by coarse weights: exact for all numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.kernels.gemm import coarse_layout
from int8ref.kernels.gemm.coarse_layout import (
    MAX_BIAS,
    Coarse,
    coarse_workspace,
    pack_coarse,
    useful,
)
from int8ref.kernels.gemm.layout import start_values
from int8ref.kernels.gemm.target import TARGET
from tests.helpers.memory import assert_untouched_behind, guarded
from tests.kernels.products import gemm_coarse_argmax

needs_pairs = pytest.mark.skipif(not TARGET.pair_products, reason="this CPU has no use for it")
VALUES = {
    "any": lambda r, shape: r.integers(-128, 128, shape),
    "extreme": lambda r, shape: r.choice([-128, 127], shape),
    "usual": lambda r, shape: np.clip(r.normal(0, 35, shape), -127, 127),
    "few": lambda r, shape: r.integers(-1, 2, shape),  # gives many ties
    "none": lambda r, shape: np.zeros(shape),
}


def found(
    x: NDArray[np.int8], weight: NDArray[np.int8], bias: NDArray[np.int32], coarse: Coarse
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    index, value = (guarded((len(x),), np.int32) for _ in range(2))
    workspace = guarded((coarse_workspace(coarse),), np.uint8)
    start = start_values(weight, bias)
    gemm_coarse_argmax(
        x, coarse.weight, coarse.start, coarse.length, weight, start, index, value, workspace
    )
    assert_untouched_behind(index, value, workspace)
    return index, value


@needs_pairs
@settings(max_examples=60)
@given(
    m=st.integers(1, 70),
    n=st.integers(1, 300),
    k=st.integers(1, 130),
    kinds=st.tuples(*[st.sampled_from(sorted(VALUES))] * 2),
    spread=st.sampled_from([1, 1000, MAX_BIAS + 1]),
    seed=st.integers(0, 2**32 - 1),
)
def test_argmax_is_the_first_largest(
    m: int, n: int, k: int, kinds: tuple[str, str], spread: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    x, weight = (
        VALUES[kind](random, shape).astype(np.int8)
        for kind, shape in zip(kinds, [(m, k), (n, k)], strict=True)
    )
    bias = random.integers(-spread + 1, spread, n).astype(np.int32)
    assert useful(weight.shape[1], bias)
    coarse = pack_coarse(weight, bias)
    acc = x.astype(np.int64) @ weight.T.astype(np.int64) + bias
    index, value = found(x, weight, bias, coarse)
    assert index.tolist() == acc.argmax(axis=1).tolist()
    assert value.tolist() == acc.max(axis=1).tolist()


@needs_pairs
def test_coarse_weights_bound_every_output() -> None:
    random = np.random.default_rng(5)
    x, weight = (random.integers(-128, 128, shape).astype(np.int8) for shape in [(9, 40), (50, 40)])
    bias = random.integers(-99, 99, 50).astype(np.int32)
    assert useful(weight.shape[1], bias)
    coarse = pack_coarse(weight, bias)
    step = coarse_layout.STEP
    columns = TARGET.pair_columns
    strips = coarse.weight.transpose(0, 2, 1, 3).reshape(-1, coarse.weight.shape[1] * 4)
    plain = strips[:50, :40].astype(np.int64)
    assert coarse.weight.shape[2:] == (columns, 4)
    assert np.abs(plain).max() <= 32
    assert np.abs(weight - step * plain).max() <= 2
    sums = (x.astype(np.int64) + 128) @ plain.T * step + coarse.start[:50]
    assert np.array_equal(sums, x.astype(np.int64) @ plain.T * step + bias)
    acc = x.astype(np.int64) @ weight.T.astype(np.int64) + bias
    lengths = np.sqrt((x.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    assert (acc <= sums + lengths * coarse.length).all()


def test_split_of_every_weight() -> None:
    every = np.arange(-128, 128).astype(np.int8)
    coarse, rest = coarse_layout.split(every)
    assert coarse.tolist() == [(weight + 2) // 4 for weight in range(-128, 128)]
    assert rest.tolist() == [(weight + 2) % 4 - 2 for weight in range(-128, 128)]


def test_what_coarse_weights_are_not_made_of() -> None:
    assert useful(4, np.array([0, MAX_BIAS], np.int32)) == bool(TARGET.pair_products)
    assert not useful(4, np.array([0, -MAX_BIAS - 1, 0], np.int32))
    assert not useful(coarse_layout.MAX_DEPTH + 1, np.zeros(1, np.int32))
