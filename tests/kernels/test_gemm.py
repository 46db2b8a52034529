"""The GEMM kernels, compared with float64 BLAS, which is exact here, and with int64."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError
from numpy.typing import NDArray

from int8ref.kernels.gemm import scratch
from int8ref.kernels.gemm.packed_row import unpack_row
from int8ref.kernels.gemm.quads import raised_pitch
from int8ref.kernels.gemm.target import TARGET
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from tests.helpers.processes import TIMEOUT
from tests.kernels import gemm_cases as gc
from tests.kernels import products as gemm

ROOT = Path(__file__).parents[2]
sizes = st.one_of(st.integers(1, 20), st.sampled_from([63, 64, 65, 127, 128, 129, 200]))


def assert_equal(case: gc.Case) -> None:
    expected, computed = case.expected(), case.computed()
    for name, value in expected.items():
        np.testing.assert_array_equal(computed[name], value, err_msg=name)


@settings(max_examples=80)
@given(m=sizes, n=sizes, k=sizes, seed=st.integers(0, 2**32 - 1))
@example(m=300, n=3, k=1536, seed=0)  # more rows than one block of prepared rows
@example(m=1, n=64, k=131071, seed=1)
@example(m=33, n=65, k=64, seed=2)  # matrix registers of 16 and 32 rows, and a row without them
@example(m=900, n=70, k=448, seed=3)  # more than one block of them
def test_any_shape(m: int, n: int, k: int, seed: int) -> None:
    assert_equal(gc.make_case(np.random.default_rng(seed), m, n, k))


@settings(max_examples=30)
@given(
    m=st.integers(1, 13),
    n=st.integers(1, 70),
    k=st.integers(1, 70),
    extreme=st.sampled_from(gc.EXTREMES),
    seed=st.integers(0, 2**32 - 1),
)
@example(m=1, n=1, k=131071, extreme=(-128, -128), seed=0)  # the longest sum that fits in int32
def test_extreme_values(m: int, n: int, k: int, extreme: tuple[int, int], seed: int) -> None:
    assert_equal(gc.make_case(np.random.default_rng(seed), m, n, k, extreme))


@given(
    acc=st.one_of(
        st.integers(-(2**31), 2**31 - 1),
        st.sampled_from([-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1]),
    ),
    multiplier=st.one_of(st.integers(0, 2**15 - 1), st.sampled_from([0, 1, 2**14, 2**15 - 1])),
    shift=st.integers(16, 46),
)
def test_requantize_is_the_contract(acc: int, multiplier: int, shift: int) -> None:
    """Equals Python's unbounded integers, in the vector part and in the rest of a row."""
    n = 67
    x, weight = np.zeros((1, 8), np.int8), np.zeros((n, 8), np.int8)
    start = gemm.start_values(weight, np.full(n, acc, np.int32))
    out = np.empty((1, n), np.int8)
    scale, bits = np.full(n, multiplier, np.int16), np.full(1, shift, np.int8)
    room = np.empty(gemm.workspace_bytes(1, 8), np.uint8)
    gemm.gemm_requantize(x, gemm.pack(weight), start, scale, bits, -127, 127, out, room)
    wanted = max(-127, min(127, (acc * multiplier + (1 << (shift - 1))) >> shift))
    assert (out == wanted).all()


@given(acc=st.integers(-(2**30), 2**30), shift=st.integers(1, 30))
def test_shift_is_the_contract(acc: int, shift: int) -> None:
    n = 67
    x, weight = np.zeros((1, 8), np.int8), np.zeros((n, 8), np.int8)
    start = gemm.start_values(weight, np.full(n, acc, np.int32))
    out = np.empty((1, n), np.int8)
    room = np.empty(gemm.workspace_bytes(1, 8), np.uint8)
    gemm.gemm_shift(x, gemm.pack(weight), start, np.full(n, shift, np.int8), 0, 127, out, room)
    assert (out == max(0, min(127, (acc + (1 << (shift - 1))) >> shift))).all()


@given(
    values=st.lists(st.sampled_from([-(2**31), -1, 0, 5, 2**31 - 1]), min_size=1, max_size=140),
    data=st.data(),
)
def test_argmax_takes_the_lowest_index(values: list[int], data: st.DataObject) -> None:
    columns = data.draw(st.integers(1, len(values)))
    n = len(values)
    x, weight = np.zeros((2, 8), np.int8), np.zeros((n, 8), np.int8)
    start = gemm.start_values(weight, np.array(values, np.int32))
    index, value = np.full(2, 99, np.int32), np.full(2, 99, np.int32)
    room = np.empty(gemm.workspace_bytes(2, 8), np.uint8)
    gemm.gemm_argmax(x, gemm.pack(weight), start, columns, index, value, room)
    best = max(values[:columns])
    assert value.tolist() == [best] * 2
    assert index.tolist() == [values.index(best)] * 2


@given(n=sizes, k=sizes, seed=st.integers(0, 2**32 - 1))
def test_pack_and_unpack(n: int, k: int, seed: int) -> None:
    weight = np.random.default_rng(seed).integers(-128, 128, (n, k)).astype(np.int8)
    packed = gemm.pack(weight)
    strip = TARGET.strip
    assert packed.shape == (-(-n // 64) * 64 // strip, -(-k // 8) * 2, strip, 4)
    assert packed.flags.c_contiguous
    assert packed.ctypes.data % 64 == 0
    np.testing.assert_array_equal(gemm.unpack(packed, n, k), weight)
    assert np.count_nonzero(packed) == np.count_nonzero(weight)  # the padding is zero
    column, depth = n - 1, k - 1
    place = column // strip, depth // 4, column % strip, depth % 4
    assert packed[place] == weight[column, depth]


def test_start_values() -> None:
    weight = np.array([[127, 127], [-128, 0]], np.int8)
    bias = np.array([-(2**31), 7], np.int32)
    start = gemm.start_values(weight, bias)
    offset = 128 if TARGET.operand == "u8" else 0
    wanted = np.array([-(2**31) - offset * 254, 7 + offset * 128]).astype(np.int32)  # wraps around
    assert start.dtype == np.int32
    assert start.shape == (64,)
    np.testing.assert_array_equal(start[:2], wanted)
    assert not start[2:].any()
    sums = weight.sum(axis=1, dtype=np.int32)
    np.testing.assert_array_equal(gemm.start_values(sums, bias), start)


@given(
    start=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-99, 99), min_size=1),
    shift=st.integers(0, 15),
)
def test_narrow_start_values_are_the_same_numbers(start: list[int], shift: int) -> None:
    units = gemm.narrow(np.array(start, np.int32), shift)
    fits = all(x % 2**shift == 0 and -(2**15) <= x >> shift < 2**15 for x in start)
    assert (units is not None) == fits
    if units is not None:
        assert units.dtype == np.int16
        assert [int(x) << shift for x in units] == start


@given(n=sizes, k=sizes, shift=st.integers(0, 15), seed=st.integers(0, 2**32 - 1))
def test_products_may_start_from_16_bits(n: int, k: int, shift: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    x, weight = (random.integers(-128, 128, shape).astype(np.int8) for shape in ((3, k), (n, k)))
    units = np.zeros(-(-n // 64) * 64, np.int16)
    units[:n] = random.integers(-(2**15), 2**15, n)
    out, wanted = np.empty((3, n), np.int32), np.empty((3, n), np.int32)
    packed, room = gemm.pack(weight), np.empty(gemm.workspace_bytes(3, k), np.uint8)
    gemm.gemm_i32_narrow(x, packed, units, shift, out, room)
    gemm.gemm_i32(x, packed, units.astype(np.int32) << shift, wanted, room)
    np.testing.assert_array_equal(out, wanted)


@kernel
def row_of(packed: NDArray[np.int8], depth: int, row: int, out: NDArray[np.int8]) -> None:
    unpack_row(address(packed, np.int8), depth, row, address(out, np.int8))


@given(n=sizes, k=sizes, data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_a_row_of_a_packed_weight(n: int, k: int, data: st.DataObject, seed: int) -> None:
    weight = np.random.default_rng(seed).integers(-128, 128, (n, k)).astype(np.int8)
    row = data.draw(st.integers(0, n - 1))
    out = np.full(k + 16, 99, np.int8)
    row_of(gemm.pack(weight), k, row, out)
    np.testing.assert_array_equal(out[:k], weight[row])
    assert not out[k : -(-k // 8) * 8].any()
    assert (out[-(-k // 8) * 8 :] == 99).all()


def test_layout_refuses_what_does_not_fit() -> None:
    weight = np.zeros((3, 5), np.int8)
    with pytest.raises(ValueError, match=r"weight: expected int8 \[N, K\], got int16"):
        gemm.pack(weight.astype(np.int16))
    with pytest.raises(ValueError, match=r"weight: .*got int8 \(3, 0\)"):
        gemm.pack(weight[:, :0])
    with pytest.raises(
        ValueError, match=r"packed: expected int8 \(\d+, 2, \d+, 4\) for .*\[65, 5\]"
    ):
        gemm.unpack(gemm.pack(weight), 65, 5)
    with pytest.raises(ValueError, match=r"bias: expected int32 \(3,\), got int64"):
        gemm.start_values(weight, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="weight: expected int8"):
        gemm.start_values(weight.astype(np.int64), np.zeros(3, np.int32))


def test_wrong_types_are_found_when_compiled() -> None:
    x, weight = np.zeros((2, 8), np.int8), np.zeros((3, 8), np.int8)
    packed, start = gemm.pack(weight), gemm.start_values(weight, np.zeros(3, np.int32))
    room = np.empty(gemm.workspace_bytes(2, 8), np.uint8)
    with pytest.raises(TypingError, match="expected C-contiguous int8"):
        gemm.gemm_i32(x.astype(np.uint8), packed, start, np.zeros((2, 3), np.int32), room)
    with pytest.raises(TypingError, match="expected C-contiguous int8"):
        gemm.gemm_i32(x[:, ::2], packed, start, np.zeros((2, 3), np.int32), room)
    with pytest.raises(TypingError, match="expected C-contiguous int32"):
        gemm.gemm_i32(x, packed, start, np.zeros((2, 3), np.int64), room)


@given(k=st.integers(1, 5000), m=st.integers(1, 2000))
def test_workspace_grows_with_rows(k: int, m: int) -> None:
    assert 0 < gemm.workspace_bytes(m, k) <= gemm.workspace_bytes(m + 1, k)


def test_without_jit() -> None:
    """The Python bodies of the leaf functions give the bits of the code that replaces them."""
    run = subprocess.run(
        [sys.executable, str(Path(gc.__file__))],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [TARGET.name, gc.digest(case.expected() for case in gc.cases())]


@given(rows=st.integers(1, 2000), depth=st.integers(1, 6000), data=st.data())
def test_workspace_serves_every_smaller_product(rows: int, depth: int, data: st.DataObject) -> None:
    """The assembler allocates for the most rows and inputs.  This is enough for each product."""
    fewer, shorter = data.draw(st.integers(1, rows)), data.draw(st.integers(1, depth))
    room = scratch.ALIGNMENT + scratch.TILE_BYTES + 2 * scratch.START_BYTES
    for pitch in (scratch.row_pitch(shorter), raised_pitch(shorter)):
        used = room + scratch.block_rows(fewer, pitch) * pitch
        assert used <= scratch.workspace_bytes(rows, depth)
