"""Corner cases of `linear`."""

from __future__ import annotations

import numpy as np

from int8ref.corners.case import Case, case, full, spread

TIES = [1, 3, 5, 7, -1, -3, -5, -7, 2, -2, 0]
"""Accumulators that are ties after a shift of 1, or of 2 for twice the number."""
ROOM = 2**31 - 1 - 128 * 128
"""The largest bias beside one product."""


def cases() -> list[Case]:
    """Return the cases."""
    return [*_rounding(), *_saturation(), *_accumulators(), *_channels(), *_shapes()]


def _column(bias: list[int], **fields: object) -> dict[str, object]:
    """Operands with the accumulators `bias`, from one column of zeros."""
    return {"x": [[0]], "weight": [[0]] * len(bias), "bias": np.array(bias, np.int32), **fields}


def _rounding() -> list[Case]:
    ties = [n * 2**15 for n in TIES]
    near = [n * 2**15 + d for n in (1, 3, -1, -3) for d in (-1, 0, 1)]
    return [
        case("linear", "ties_shift", "ties round away from zero, to even or down, instead of up",
             **_column(TIES, shift=[1])),
        case("linear", "ties_multiplier", "ties of a product round another way",
             **_column([2 * n for n in TIES], multiplier=[1 << 14], shift=[16])),
        case("linear", "ties_wide_shift", "a tie is lost, because the low word is dropped",
             **_column([n << 30 for n in (1, -1)] + [3 << 29, -3 << 29], multiplier=[1 << 14],
                       shift=[45])),
        case("linear", "near_ties", "the accumulator is rounded before the multiplication",
             **_column([*near, *ties], multiplier=[1], shift=[16])),
        case("linear", "rounded_once", "the product is rounded in two steps",
             **_column([98303, 98304, 98305, -98303, -98304, -98305, 163839, 32767, 32768],
                       multiplier=[1], shift=[16])),
        case("linear", "shift_30", "the rounding constant of the largest shift is wrong",
             **_column([2**29, 2**29 - 1, -(2**29), -(2**29) - 1, 3 << 28, 2**30], shift=[30])),
        case("linear", "shift_46", "the rounding constant of the largest shift is wrong",
             **_column([ROOM, -ROOM, 2**30, -(2**30), 2**29, 1], multiplier=[32767], shift=[46])),
    ]  # fmt: skip


def _saturation() -> list[Case]:
    steps = [253, 254, 255, 256, 257, 1000, -253, -254, -255, -256, -257, -258, -1000]
    ends = [ROOM, -ROOM, 2**24, -(2**24), 65536, -65536, 256, -256, 32768, -32768]
    return [
        case("linear", "saturate_8_bits", "a result wraps, or the lower end is -128",
             **_column(steps, shift=[1])),
        case("linear", "saturate_far", "the result is cut to 16 or 32 bits before the clamp",
             **_column(ends, multiplier=[32767], shift=[16])),
        case("linear", "relu", "the lower end 0 is ignored",
             **_column(steps, shift=[1], low=0)),
        case("linear", "own_ends", "own ends of the range are ignored",
             **_column([*steps, 9, 10, 11, 14, 15, 30, -13, -30], shift=[1], low=-7, high=5)),
        case("linear", "one_result", "the ends of the range are applied in the other order",
             **_column(steps, shift=[1], low=127, high=127)),
        case("linear", "negative_range", "the upper end is the default if it is negative",
             **_column(steps, shift=[1], low=-127, high=-127)),
    ]  # fmt: skip


def _accumulators() -> list[Case]:
    signs = np.array([[-128] * 64, [127] * 64, [-128, 127] * 32], np.int8)
    deep = full("int8", (1, 1100), -128)
    return [
        case("linear", "minus_128", "an operand of -128 is read as -127, or as unsigned",
             x=[[-128, -128], [127, -128], [-127, 1]],
             weight=[[-128, -128], [127, 1], [1, -128], [-128, 127]], bias=[0, 0, 0, 0]),
        case("linear", "pairs", "sums of two products saturate at 16 bits",
             x=signs, weight=signs, bias=[0, 0, 0]),
        case("linear", "accumulator_most", "an accumulator is narrower than 32 bits",
             x=[[-128], [127]], weight=[[-128], [127]], bias=np.array([ROOM, ROOM], np.int32)),
        case("linear", "accumulator_least", "a negative accumulator is narrower than 32 bits",
             x=[[-128], [127]], weight=[[127], [-128]], bias=np.array([-ROOM, -ROOM], np.int32)),
        case("linear", "accumulator_most_scaled", "an accumulator times a multiplier is too narrow",
             x=[[-128], [127]], weight=[[-128], [127]], bias=np.array([ROOM, -ROOM], np.int32),
             multiplier=[32767], shift=[40]),
        case("linear", "products_of_25_bits", "the sum of the products is narrower than the bias",
             x=deep, weight=np.concatenate([deep, -1 - deep, deep // 2]), bias=[0, 0, 0]),
        case("linear", "products_of_25_bits_scaled", "the sum of the products saturates at 24 bits",
             x=deep, weight=np.concatenate([deep, -1 - deep, deep // 2]), bias=[0, 0, 0],
             multiplier=[127], shift=[24]),
        case("linear", "sum_returns", "a sum inside a row saturates, although the end is small",
             x=full("int8", (1, 600), 127),
             weight=np.array([[127] * 300 + [-127] * 300, [-127] * 300 + [127] * 300], np.int8),
             bias=[5, -5]),
    ]  # fmt: skip


def _channels() -> list[Case]:
    x, weight = spread("int8", (3, 5), -128, 127), spread("int8", (4, 5), -128, 127, 7)
    bias = [-300, 200, 1000, -32768]
    return [
        case("linear", "raw", "accumulators are requantised without a shift",
             x=x, weight=weight, bias=bias),
        case("linear", "multiplier_of_channels", "the first multiplier serves all channels",
             x=x, weight=weight, bias=bias, multiplier=[0, 77, 32767, 1024], shift=[21]),
        case("linear", "one_multiplier", "one multiplier serves the first channel only",
             x=x, weight=weight, bias=bias, multiplier=[400], shift=[18]),
        case("linear", "shift_of_channels", "the first shift serves all channels",
             x=x, weight=weight, bias=bias, shift=[1, 7, 9, 30]),
        case("linear", "one_shift", "one shift serves the first channel only",
             x=x, weight=weight, bias=bias, shift=[8]),
        case("linear", "bias_16_bits_shifted", "the shift of the bias loses its sign or its bits",
             x=x, weight=weight, bias=[-32768, 32767, 1, -1], bias_shift=15),
        case("linear", "bias_32_bits_shifted", "a bias of 32 bits is read as 16 bits",
             x=x, weight=weight, bias=np.array([-70000, 70000, 1 << 20, -(1 << 20)], np.int32),
             bias_shift=3, shift=[16]),
    ]  # fmt: skip


def _shapes() -> list[Case]:
    """Widths beside the sizes of blocks: 1, 3, 17, 33 and 65 columns."""
    return [
        case("linear", f"shape_{rows}_{inputs}_{outputs}", "columns beside a whole block are lost",
             x=spread("int8", (rows, inputs), -128, 127, rows),
             weight=spread("int8", (outputs, inputs), -128, 127, inputs),
             bias=spread("int16", (outputs,), -32768, 32767), shift=[9])
        for rows, inputs, outputs in ((1, 1, 1), (2, 3, 17), (5, 17, 3), (3, 33, 5), (7, 65, 33))
    ]  # fmt: skip
