"""Compiled twin of `int8ref.reference.log_softmax`."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.kernels.ir.arithmetic import log2, rounding_shift_right, soft_cap
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I32, I64, address, lowers, view
from int8ref.kernels.ir.vector import constant, load, loop, offset, pieces, splat, vector
from int8ref.spec import arithmetic
from int8ref.spec.arithmetic import LOG_BITS, POWER_BITS, POWER_COEFFICIENTS, POWER_MAX_INPUT

FARTHEST = np.int64(POWER_MAX_INPUT)
ONE = np.int64(POWER_BITS << LOG_BITS)
NOTHING = np.int64((POWER_BITS << LOG_BITS) + 1)
"""The smallest distance, in units of logarithms, whose power of two is 0."""
LANES = 8


@kernel
def log_softmax(x, multiplier, shift, cap_multiplier, cap_shift, out):
    """Binary logarithm of the softmax of each row."""
    for r in range(x.shape[0]):
        row = out[r]
        for n in range(x.shape[1]):
            row[n] = x[r, n]
        cap_logits(row, cap_multiplier, cap_shift)
        top = largest(row)
        norm = normalizer(row, top, multiplier, shift)
        for n in range(x.shape[1]):
            row[n] = log_probability(row[n], top, norm, multiplier, shift)


@kernel
def cap_logits(row, multiplier, shift):
    """Cap the logits of a row in place; a shift of 0 leaves them alone."""
    for n in range(len(row) if shift != 0 else 0):
        row[n] = np.int32(soft_cap(row[n], multiplier, shift))


@kernel
def largest(row):
    """The largest logit of a row."""
    found = row[0]
    for n in range(len(row)):
        found = max(found, row[n])
    return found


@kernel
def normalizer(row, top, multiplier, shift):
    """Binary logarithm of the sum of the powers of a row whose largest logit is `top`."""
    half = (np.int64(1) << np.int64(shift)) >> np.int64(1)
    zero = (NOTHING << np.int64(shift)) - half  # the smallest product that becomes NOTHING
    near = int(min((zero - np.int64(1)) // np.int64(multiplier), np.int64(2**32 - 1)))
    total = power_sum(address(row, np.int32), len(row), top, near, multiplier, shift)
    return log2(total) - ONE


@kernel
def log_probability(x, top, norm, multiplier, shift):
    """Binary logarithm of the softmax of one logit."""
    product = (np.int64(top) - np.int64(x)) * np.int64(multiplier)
    z = min(rounding_shift_right(product, shift), FARTHEST)
    return np.int32(-min(z + norm, FARTHEST))


def power_sum(row: int, width: int, top: int, near: int, multiplier: int, shift: int) -> int:
    """The sum of the powers (A5) of the logits that lie at most `near` below `top`.

    `row`: address of int32 [width]; `near` in [0, 2^32).  The powers of the other logits are 0.
    """
    distance = top - view(row, np.int32, (width,)).astype(np.int64)
    product = distance[distance <= near] * multiplier
    powers = arithmetic.exp2_precise(arithmetic.rounding_shift_right(product, shift))
    return int(powers.sum(dtype=np.int64))


@lowers(power_sum)
def _power_sum_ir(
    builder: ir.IRBuilder,
    row: ir.Value,
    width: ir.Value,
    top: ir.Value,
    near: ir.Value,
    multiplier: ir.Value,
    shift: ir.Value,
) -> ir.Value:
    # Skip a vector if all its powers are 0, because most logits lie far below the largest one.
    half = builder.lshr(builder.shl(constant(I64, 1), shift), constant(I64, 1))
    most, limit, factor = (builder.trunc(x, I32) for x in (top, near, multiplier))
    sums = []
    for lanes, start, stop in pieces(builder, width, LANES):
        kind = vector(I64, lanes)
        with builder.goto_entry_block():
            total = builder.alloca(kind)
        builder.store(constant(kind, 0), total)
        sums.append(total)
        with loop(builder, start, stop, lanes) as n:
            x = load(builder, offset(builder, row, n, 4), vector(I32, lanes))
            distance = builder.sub(splat(builder, most, lanes), x)
            counts = builder.icmp_unsigned("<=", distance, splat(builder, limit, lanes))
            bits = builder.bitcast(counts, ir.IntType(lanes))
            with builder.if_then(builder.icmp_unsigned("!=", bits, constant(bits.type, 0))):
                distance = builder.select(counts, distance, constant(distance.type, 0))
                factors = builder.zext(splat(builder, factor, lanes), kind)
                product = builder.mul(builder.zext(distance, kind), factors)
                product = builder.add(product, splat(builder, half, lanes))
                z = builder.lshr(product, splat(builder, shift, lanes))
                power = builder.select(counts, _power(builder, z), constant(kind, 0))
                builder.store(builder.add(builder.load(total), power), total)
    many, one = (builder.load(total) for total in sums)
    for lane in range(LANES):
        one = builder.add(one, builder.extract_element(many, constant(I32, lane)))
    return one


def _power(builder: ir.IRBuilder, z: ir.Value) -> ir.Value:
    """exp2_precise(z) in every lane, for z below 2^26.

    Factors are masked to 32 bits, because their 64-bit products are then fast.
    """
    low = constant(z.type, 2**32 - 1)
    bits = constant(z.type, LOG_BITS)
    fraction = builder.and_(z, constant(z.type, (1 << LOG_BITS) - 1))
    t = constant(z.type, POWER_COEFFICIENTS[-1])
    for coefficient in POWER_COEFFICIENTS[-2::-1]:
        product = builder.mul(builder.and_(t, low), fraction)
        t = builder.sub(constant(z.type, coefficient), builder.lshr(product, bits))
    return builder.lshr(builder.add(t, t), builder.lshr(z, bits))
