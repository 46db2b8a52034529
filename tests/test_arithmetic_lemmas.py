"""Lemmas of the kernels, proved by z3 for every input."""

from __future__ import annotations

from typing import Any

import pytest

from int8ref.reference import (
    attention,
    attention_polynomial,
    layer_norm,
    log_softmax,
    rotary,
)
from int8ref.search import length
from int8ref.spec import arithmetic
from int8ref.spec.limits import MAX_TOKENS
from int8ref.spec.scope import MAX_WIDTH
from tests.helpers.processes import TIMEOUT

z3 = pytest.importorskip("z3")


def prove(claim: Any, *given: Any) -> None:
    """Fail if an input satisfies `given` and not `claim`.  Report this input."""
    solver = z3.Solver()
    solver.set("timeout", 1000 * TIMEOUT)
    solver.add(*given)
    assert solver.check() == z3.sat, "nothing satisfies the premises"
    solver.add(z3.Not(claim))
    outcome = solver.check()
    assert outcome == z3.unsat, solver.model() if outcome == z3.sat else solver.reason_unknown()


def clamp(x: Any, low: Any, high: Any) -> Any:
    return z3.If(x < low, low, z3.If(x > high, high, x))


def test_a_false_lemma_is_refuted() -> None:
    x = z3.BitVec("x", 8)
    with pytest.raises(AssertionError, match="x = 128"):
        prove(-x != x, x != 0)
    with pytest.raises(AssertionError, match="nothing satisfies"):
        prove(x == 1, x != x)


@pytest.mark.parametrize("shift", [1, 2, 7, 31, 32, 33, 61, 62])
def test_rounding_shift_is_floor_plus_the_highest_bit_dropped(shift: int) -> None:
    """floor(x / 2^s + 1/2) = floor(x / 2^s) + bit s-1 of x, without the sum that may overflow."""
    x, half = z3.BitVec("x", 64), 1 << (shift - 1)
    prove(
        (x + half) >> shift == (x >> shift) + (z3.LShR(x, shift - 1) & 1),
        x <= 2**63 - 1 - half,
    )


@pytest.mark.parametrize("shift", [1, 5, 32, 62])
def test_rounding_shift_is_round_half_up(shift: int) -> None:
    """r = rounding_shift_right(x, s) is the only integer with -1/2 <= r - x / 2^s ... < 1/2."""
    x, half = z3.BitVec("x", 64), 1 << (shift - 1)
    r = z3.SignExt(8, (x + half) >> shift) << shift
    wide = z3.SignExt(8, x)
    prove(z3.And(wide - half < r, r <= wide + half), x <= 2**63 - 1 - half)


@pytest.mark.parametrize("shift", [32, 33, 40, 47, 61, 62])
def test_requantize_needs_only_the_high_word(shift: int) -> None:
    """For s >= 32: (p + half) >> s = ((p + half) >> 32) >> (s - 32), a shift of a 32-bit word."""
    p, half = z3.BitVec("p", 64), 1 << (shift - 1)
    bound = 2**62
    high = z3.Extract(63, 32, p + half)
    prove(
        z3.SignExt(32, high >> (shift - 32)) == (p + half) >> shift,
        p >= -bound,
        p <= bound,
    )


@pytest.mark.parametrize("shift", [16, 17, 30, 45, 46])
def test_requantize_may_multiply_by_65536_times_as_much(shift: int) -> None:
    """(p + half) >> s = (2^16 p + 2^16 half) >> (s + 16), which needs only the high word."""
    p, half = z3.BitVec("p", 64), 1 << (shift - 1)
    prove(
        (p + half) >> shift == ((p << 16) + (half << 16)) >> (shift + 16),
        p >= -(2**46),
        p <= 2**46,
    )


@pytest.mark.parametrize("shift", [33, 40, 62])
def test_the_rounding_constant_meets_only_the_high_word(shift: int) -> None:
    """For s >= 33 the low word of half is 0, so half may be added after the low word is dropped."""
    p = z3.BitVec("p", 64)
    half, high = 1 << (shift - 1), z3.Extract(63, 32, p)
    prove(
        z3.Extract(63, 32, p + half) == high + (half >> 32),
        p >= -(2**62),
        p <= 2**62,
    )


def test_products_of_requantize_fit_64_bits() -> None:
    a, m = z3.Int("a"), z3.Int("m")
    product, half = a * m, 2**61
    prove(
        z3.And(product + half < 2**63, product >= -(2**63)),
        a >= -(2**31), a < 2**31, m >= 0, m < 2**31,
    )  # fmt: skip


def test_saturation_before_a_tighter_clamp_is_lost() -> None:
    x, low, high = (z3.Int(name) for name in ("x", "low", "high"))
    most = arithmetic.DATA_MAX
    prove(
        clamp(clamp(x, -most, most), low, high) == clamp(x, low, high),
        -most <= low, low <= high, high <= most,
    )  # fmt: skip


def test_unsigned_operands_need_only_another_start_value() -> None:
    """x * w = (x + 128) * w - 128 * w mod 2^32, where x + 128 is an unsigned byte.

    By linearity the equation holds for sums.  Therefore the start value is bias - 128 * sum(w).
    """
    x = z3.BitVec("x", 8)
    prove(z3.ZeroExt(24, x ^ 0x80) == z3.SignExt(24, x) + 128)
    n, w = z3.Int("n"), z3.Int("w")
    prove((n + 128) * w - 128 * w == n * w)


def test_offset_sums_may_wrap() -> None:
    """Wrapping sums are associative.  The order of their terms has no effect."""
    a, b, c = (z3.BitVec(name, 32) for name in "abc")
    prove((a + b) + c == (a + c) + b)


def test_exp2_fits_32_bits() -> None:
    """Every product, sum and rounding constant of (A4), for every fraction and exponent."""
    f, i, t = z3.Int("f"), z3.Int("i"), z3.IntVal(arithmetic.EXP2_COEFFICIENTS[-1])
    claims = []
    for c in arithmetic.EXP2_COEFFICIENTS[-2::-1]:
        product = t * f
        t = c + product / 1024  # integer division of z3 rounds down
        claims += [product, t]
    for product in claims:
        prove(z3.And(product >= -(2**31), product < 2**31), f >= 0, f < 1024)
    half = 2 ** (5 + 16)
    prove(z3.And(t > 0, t + half < 2**31), f >= 0, f < 1024, i >= 0, i <= 16)


def test_exp2_precise_multiplies_32_bits() -> None:
    """Every factor of (A5) is in [0, 2^32), so a product fits in a 64-bit element of a vector."""
    t, f = z3.Int("t"), z3.Int("f")
    part = t * f / 2**20
    prove(z3.And(part >= 0, part <= t), t >= 0, f >= 0, f < 2**20)
    low = high = arithmetic.POWER_COEFFICIENTS[-1]
    for c in arithmetic.POWER_COEFFICIENTS[-2::-1]:
        low, high = c - high, c
        assert 0 <= low <= high < 2**32
    most = 2**30 * 2**32 + 2**61
    assert log_softmax.MAX_MULTIPLIER < 2**30
    assert most < 2**63, "a distance of logits times the multiplier, rounded"
    assert MAX_WIDTH << arithmetic.POWER_BITS < 2**62, "a sum of powers: what log2 accepts"


def test_log2_keeps_31_bits() -> None:
    """For y in [2^30, 2^31), y^2 >> 30 has at most 32 bits.  The next y is in the same range.

    A larger square gives the larger bit, or the same bit and no smaller y.  Therefore log2 rises.
    """
    assert (2**30) ** 2 >> 30 == 2**30
    assert (2**31 - 1) ** 2 >> 30 < 2**32
    square, other = z3.BitVec("square", 64), z3.BitVec("other", 64)
    bit, other_bit = z3.LShR(square, 31), z3.LShR(other, 31)
    y, other_y = z3.LShR(square, bit), z3.LShR(other, other_bit)
    ranges = square >= 2**30, square < 2**32, other >= 2**30, other < 2**32
    prove(z3.And(bit <= 1, y >= 2**30, y < 2**31), *ranges)
    larger = z3.Or(bit < other_bit, z3.And(bit == other_bit, y <= other_y))
    prove(larger, square <= other, *ranges)


def test_powers_vanish_beyond_a_distance_of_logits() -> None:
    """d * m + half < zero if and only if d <= (zero - half - 1) // m.  The kernel omits other d."""
    d, m, zero, half = (z3.Int(name) for name in ("d", "m", "zero", "half"))
    prove(
        (d * m + half < zero) == (d <= (zero - half - 1) / m),
        d >= 0, m >= 1, half >= 0, zero > half,
    )  # fmt: skip
    assert ((32 << 20) + 1) << log_softmax.MAX_SHIFT < 2**63


def test_scores_are_normalised_within_64_bits() -> None:
    largest = MAX_TOKENS * arithmetic.POWER_MAX_INPUT
    assert (largest << (length.PENALTY_BITS + 1)) + length.MAX_PENALTY < 2**63
    assert 2 * length.MAX_PENALTY < 2**63


def test_scores_rise_with_the_sum_and_the_penalty() -> None:
    """Early stopping relies on this lemma: sums are never positive, and penalties never fall."""
    s, t, p, q = (z3.Int(name) for name in ("s", "t", "p", "q"))
    scaled = 2 ** (length.PENALTY_BITS + 1)

    def quotient(name: str, total: Any, penalty: Any) -> tuple[Any, Any]:
        """Define floor((total * scaled + penalty) / (2 * penalty)) by its inequalities."""
        found = z3.Int(name)
        rest = total * scaled + penalty - 2 * penalty * found
        return found, z3.And(rest >= 0, rest < 2 * penalty)

    low, one = quotient("low", s, p)
    high, two = quotient("high", t, p)
    prove(low <= high, s <= t, t <= 0, p >= 1, one, two)
    wide, three = quotient("wide", s, q)
    prove(low <= wide, s <= 0, p >= 1, p <= q, one, three)


def test_layer_norm_centres_within_32_bits() -> None:
    n, x, total = z3.Int("n"), z3.Int("x"), z3.Int("total")
    c = n * x - total
    ranges = (
        n >= 1, n <= layer_norm.MAX_WIDTH, x >= -(2**15), x < 2**15,
        -(2**15) * n <= total, total <= (2**15 - 1) * n,
    )  # fmt: skip
    prove(z3.And(c <= 65535 * n, -c <= 65535 * n), *ranges)
    most = 65535 * layer_norm.MAX_WIDTH
    assert most < 2**31
    squares = (layer_norm.MAX_WIDTH * 2**15) ** 2
    assert squares + 2**60 < 2**62, "n times the sum of squares, and epsilon: what isqrt accepts"
    assert most * 2**30 + 2**62 < 2**63, "a centred value times the reciprocal, rounded"


def test_layer_norm_normalises_within_its_bound() -> None:
    """|c| / s <= 2 * (isqrt(n) + 1), because c^2 <= n * v.

    v is the mean of the n squares, and s is the root of v.
    """
    c, n, v, s, root = (z3.Real(name) for name in ("c", "n", "v", "s", "root"))
    prove(
        c <= 2 * (root + 1) * s,
        c >= 0, s >= 1, root >= 1, n > 0, v >= 0,
        c * c <= n * v, v < (s + 1) * (s + 1), n < (root + 1) * (root + 1),
    )  # fmt: skip


def test_ssru_is_a_convex_combination() -> None:
    f, x, state = z3.Real("f"), z3.Real("x"), z3.Real("state")
    mixed = f * state + (2**15 - f) * x
    low, high = z3.If(x < state, x, state), z3.If(x < state, state, x)
    wide = -(2**15), 2**15 - 1
    ranges = (f >= 0, f < 2**15, wide[0] <= x, x <= wide[1], wide[0] <= state, state <= wide[1])
    prove(z3.And(low * 2**15 <= mixed, mixed <= high * 2**15), *ranges)
    assert wide[1] * 2**15 + 2**14 < 2**31, "the sum and the rounding constant fit 32 bits"
    assert wide[0] * 2**15 >= -(2**31)


def test_l1_norm_normalises_within_its_bound() -> None:
    """2 |c| <= total, because the other terms sum to -c. s >= total / n, so |c| / s <= n / 2."""
    c, others, n, s, total = (z3.Real(name) for name in ("c", "others", "n", "s", "total"))
    prove(
        2 * c <= n * s,
        c >= 0, others >= c, total == c + others, n > 0, s >= 1, n * s >= total,
    )  # fmt: skip
    n_most = layer_norm.MAX_WIDTH
    most = 65535 * n_most
    assert n_most * most < 2**63, "the sum of distances"
    assert most + 2**30 < 2**32, "what reciprocal accepts"


@pytest.mark.parametrize("degree", range(1, attention_polynomial.MAX_DEGREE + 1))
def test_polynomials_stay_within_32_bits(degree: int) -> None:
    """x and its rounding constant, the power of every base, delta and the last constant."""
    bits, most = attention_polynomial.BASE_BITS, attention_polynomial.MAX_BASE_SHIFT
    x, e, u = z3.BitVec("x", 64), z3.BitVec("e", 64), z3.BitVec("u", 64)
    half = (z3.BitVecVal(1, 64) << e) >> 1
    rounding = attention_polynomial.MAX_ROUNDING
    prove(
        z3.And(x + half < 2**31, (x + half) >> e <= 2**bits, half <= rounding),
        e >= 0, e <= most, x >= 0, x < 2**31 - rounding, x < (z3.BitVecVal(1, 64) << (bits + e)),
    )  # fmt: skip
    scaled = (u * u + 2 ** (bits - 1)) >> bits
    power = {1: u << bits, 2: u * u, 3: scaled * u, 4: scaled * scaled}[degree]
    delta, drop = 2**29, 2 ** (31 - attention.WEIGHT_BITS - 1)
    prove(z3.And(power >= 0, power + delta + drop < 2**31), u >= 0, u <= 2**bits)


def test_weights_are_14_bits_of_the_largest() -> None:
    """t = max(t) becomes 2^13 to 2^14, so a sum of weights is at least 2^13."""
    t, g = z3.BitVec("t", 64), z3.BitVec("g", 64)
    one = z3.BitVecVal(1, 64)
    bits = attention.WEIGHT_BITS
    weight = (t + ((one << g) >> 1)) >> g
    ranges = t < (one << (bits + g)), t >= (one << (bits + g - 1))
    prove(z3.And(weight >= 2 ** (bits - 1), weight <= 2**bits), g >= 0, g <= 31 - bits, *ranges)
    prove(t << (bits - g) >= 2 ** (bits - 1), g >= 1, g < bits, t >= one << (g - 1), t < one << g)
    fewest = (2 ** (bits - 1)).bit_length() + arithmetic.RECIPROCAL_BITS
    assert fewest + 20 - attention.MULTIPLIER_BITS >= 33, "the high word has the result"


def test_scores_with_addends_stay_within_32_bits() -> None:
    """The Program proves both bounds of `most`; p is the largest magnitude of a product."""
    a, b, x, y, low, high, p = (z3.Int(name) for name in ("a", "b", "x", "y", "low", "high", "p"))
    most = 2**31 - 1
    prove(
        z3.And(a + x <= most, a + x >= -most, a + x - (b + y) <= most),
        *(z3.And(-p <= product, product <= p) for product in (a, b)),
        *(z3.And(low <= addend, addend <= high) for addend in (x, y)),
        p - low <= most, p + high <= most, 2 * p + high - low <= most,
    )  # fmt: skip


def test_attention_scales_within_64_bits() -> None:
    """acc * m + half < 2^63 for every number of keys, and the shift is valid."""
    keys, one = attention.BLOCK_KEYS, arithmetic.EXP2_ONE
    assert keys * one * 128 <= 2**31, "acc"
    assert keys * one < 2**32, "what reciprocal accepts"
    r, m, product = z3.Int("r"), z3.Int("m"), z3.Int("product")
    prove(  # m = floor(r * context_multiplier / 2^30)
        z3.And(product / 2**30 >= 0, product / 2**30 <= 2**31 - 1),
        r > 0, r <= 2**30, m > 0, m < 2**31, product == r * m,
    )  # fmt: skip
    fewest, most = one.bit_length() + 29, (keys * one).bit_length() + 29
    assert fewest + 20 - 30 >= 1
    assert most + 38 - 30 <= 62
    assert 2**31 * 2**31 + 2**61 < 2**63


def test_joined_sums_of_blocks_have_the_bits_of_a_block() -> None:
    """For all_S up to the most keys and |all_acc| <= 128 all_S: S is in [2^23, 2^24], and acc fits
    in int32."""
    bits, most = attention.SUM_BITS, attention.MAX_KEYS * 2 ** (14 + arithmetic.FACTOR_BITS)
    assert 128 * most + 2**62 < 2**63
    least = 2**13 << arithmetic.FACTOR_BITS
    whole, acc, rounded = z3.Int("whole"), z3.Int("acc"), z3.Int("rounded")
    for drop in range((least - 1).bit_length() - bits, (most - 1).bit_length() - bits + 1):
        assert drop >= 9
        half = 2 ** (drop - 1)
        octave = whole > 2 ** (bits + drop - 1), whole <= 2 ** (bits + drop)
        sums = z3.And(rounded >= 2 ** (bits - 1), rounded <= 2**bits)
        prove(sums, *octave, rounded == (whole + half) / 2**drop)
        prove(
            z3.And(rounded >= -(2**31), rounded < 2**31),
            *octave, acc >= -128 * whole, acc <= 127 * whole, rounded == (acc + half) / 2**drop,
        )  # fmt: skip


def test_turned_columns_stay_within_31_bits() -> None:
    """|a c - b s| <= 2^30, for all columns and all angles of a valid Program."""
    a, b, c, s = (z3.Real(name) for name in "abcs")
    one = 1 << rotary.ANGLE_BITS
    columns = [z3.And(x >= -(2**15), x < 2**15) for x in (a, b)]
    angles = [z3.And(x >= -one, x <= one) for x in (c, s)]
    prove(z3.And(a * c <= 2**29, a * c >= -(2**29)), columns[0], angles[0])
    p, q = z3.Real("p"), z3.Real("q")
    products = [z3.And(x >= -(2**29), x <= 2**29) for x in (p, q)]
    prove(z3.And(p - q <= 2**30, p - q >= -(2**30), p + q <= 2**30), *products)
    assert 2**30 * (2**31 - 1) + 2**61 < 2**63, "the factor of A2, and what rounds"


def test_lines_stay_between_their_ends() -> None:
    """low * 128 + (high - low) * f is between its ends for f in [0, 127].  So is its rounding."""
    low, high, f = (z3.Real(name) for name in ("low", "high", "f"))
    total = low * 128 + (high - low) * f
    least, most = z3.If(low < high, low, high), z3.If(low < high, high, low)
    wide = [z3.And(x >= -(2**15), x < 2**15) for x in (low, high)]
    prove(z3.And(least * 128 <= total, total <= most * 128), *wide, f >= 0, f < 128)
    assert 2**15 * 128 + 65535 * 127 + 64 < 2**31, "every product and sum fits 32 bits"
