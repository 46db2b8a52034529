"""Corner cases of `log_softmax`."""

from __future__ import annotations

from int8ref.corners.case import INT32, Case, case, full, spread

LEAST, MOST = INT32


def cases() -> list[Case]:
    """Return the cases."""
    steps = [[0, -1, -2, -3, 1000, -5], [7, 7, 7, 7, 7, 7], [MOST, LEAST, 0, 1, -1, 5]]
    most = 2**30 - 1
    return [
        case("log_softmax", "one_column", "the probability of one column is not 1",
             x=[[0], [5], [LEAST], [MOST]], multiplier=1000, shift=0),
        case("log_softmax", "equal", "equal logits differ", x=[[5, 5], [-9, -9], [LEAST, LEAST]],
             multiplier=99, shift=3),
        case("log_softmax", "steps", "a difference has the other sign", x=steps, multiplier=1049,
             shift=0),
        case("log_softmax", "ties", "ties of z round another way than up",
             x=[[0, -1, -2, -3, -5], [9, 8, 7, 6, 4]], multiplier=1 << 19, shift=1),
        case("log_softmax", "ties_of_shift", "ties after a shift round another way than up",
             x=[[0, -1, -3, -5, -7], [1, 0, -2, -4, -6]], multiplier=1 << 20, shift=21),
        case("log_softmax", "far", "the difference of two logits is narrower than 33 bits",
             x=[[MOST, LEAST], [LEAST, MOST], [MOST, -MOST], [0, LEAST]], multiplier=1, shift=3),
        case("log_softmax", "wide_products", "the product is narrower than 62 bits",
             x=[[MOST, LEAST, 0, MOST - 1, 1 << 30]], multiplier=most, shift=36),
        case("log_softmax", "most_z", "z is not cut at 2^30",
             x=[[MOST, LEAST, 0, MOST - 1, MOST - 2]], multiplier=most, shift=0),
        case("log_softmax", "least_result", "a result is below -2^30",
             x=[[0] * 8 + [-1024, -1023, -(1 << 20)], [0] * 11], multiplier=1 << 20, shift=0),
        case("log_softmax", "octaves", "powers beyond 32 octaves do not vanish",
             x=[[0, -31, -32, -33, -34, -62, -63, -64, -65], [0] + [-33] * 8], multiplier=1 << 20,
             shift=0),
        case("log_softmax", "small_shares", "powers below one unit are rounded up",
             x=[[0] + [-32] * 7, [0] + [-33] * 7], multiplier=1 << 20, shift=0),
        case("log_softmax", "wide", "a sum of many powers is narrower than 42 bits",
             x=full("int32", (1, 1500), -7), multiplier=1 << 20, shift=0),
        case("log_softmax", "last_columns", "columns beside a whole block are lost",
             x=[[0] * 32 + [9], [0] * 33, [9] + [0] * 32], multiplier=1 << 18, shift=0),
        case("log_softmax", "spread", "a coefficient of the power or of the logarithm is wrong",
             x=spread("int32", (4, 33), -(2**24), 2**24), multiplier=1, shift=1),
        case("log_softmax", "cap", "the soft cap is left out",
             x=[[0, 100, 1000, -1000, 10**9], steps[2][:5]], multiplier=3025, shift=20,
             cap_multiplier=3025, cap_shift=1),
        case("log_softmax", "cap_ends", "the product of the cap is narrower than 62 bits",
             x=[[MOST, LEAST, 0, 1, -1]], multiplier=most, shift=36, cap_multiplier=MOST,
             cap_shift=62),
        case("log_softmax", "cap_clamps", "the clamp before the tanh is left out",
             x=[[MOST, LEAST, 0, 1, -1]], multiplier=1, shift=4, cap_multiplier=MOST,
             cap_shift=1),
        case("log_softmax", "cap_ties", "ties of the cap round another way than up",
             x=[[0, 1, -1, 3, -3]], multiplier=1 << 20, shift=9, cap_multiplier=1,
             cap_shift=1),
    ]  # fmt: skip
