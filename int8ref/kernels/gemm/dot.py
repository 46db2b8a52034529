"""The innermost step: one group of four k, or two, for the columns of one register.

The classes say the same things of themselves: how a group of the left operand is spread over a
register (`left`), how weights come into one (`right`), how a step adds to an accumulator (`step`),
and what an accumulator starts and ends as (`first`, `last`); and for products along k instead of
across the columns, how a register's worth of the left operand is read (`along`).
"""

from __future__ import annotations

from functools import reduce

from llvmlite import ir

from int8ref.kernels.gemm.layout import GROUP
from int8ref.kernels.gemm.quads import PAIRS
from int8ref.kernels.gemm.target import InstructionSet
from int8ref.kernels.ir.lowering import I8, I16, I32, I64
from int8ref.kernels.ir.vector import add_pairs, call, constant, load, offset, splat, vector


class FourWay:
    """A dot-product instruction: four k at once, one int32 lane for a column."""

    unrolled = True  # whether tall tiles gain from two groups in a turn of the loop
    groups = 1  # in a step

    def __init__(self, target: InstructionSet) -> None:
        self.intrinsic = target.intrinsic
        self.columns = target.columns
        self.left_bytes = GROUP
        self.sums = vector(I32, target.columns)
        # x86 intrinsics are declared over i32 lanes here: older LLVM knows no other form, newer
        # LLVM upgrades it.
        self.bytes = vector(I8, target.columns * GROUP) if target.operand == "s8" else self.sums

    def left(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        group = splat(builder, load(builder, address, I32), self.columns)
        return builder.bitcast(group, self.bytes)

    def right(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        return load(builder, address, self.bytes)

    def along(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        return load(builder, address, self.bytes)

    def step(
        self, builder: ir.IRBuilder, sums: ir.Value, left: ir.Value, right: ir.Value
    ) -> ir.Value:
        return call(builder, self.intrinsic, self.sums, sums, left, right)

    def first(self, start: ir.Value) -> ir.Value:
        return start

    def last(self, builder: ir.IRBuilder, sums: ir.Value, start: ir.Value) -> ir.Value:
        return sums


class PairProducts:
    """Products of s16 in pairs, in plain IR: two int32 lanes for a column, folded at the end."""

    groups = 1
    unrolled = False  # with two groups at once LLVM runs out of registers and spills accumulators

    def __init__(self, target: InstructionSet) -> None:
        self.columns = target.columns
        self.left_bytes = GROUP * 2
        self.sums = vector(I32, target.columns * 2)
        self.bytes = vector(I8, target.columns * GROUP)
        self.factors = vector(I16, target.columns * GROUP)
        self.products = vector(I32, target.columns * GROUP)

    def left(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        group = splat(builder, load(builder, address, I64), self.columns)
        return builder.bitcast(group, self.factors)

    def right(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        return builder.sext(load(builder, address, self.bytes), self.factors)

    def along(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        return load(builder, address, self.factors)

    def step(
        self, builder: ir.IRBuilder, sums: ir.Value, left: ir.Value, right: ir.Value
    ) -> ir.Value:
        factors = (builder.sext(factor, self.products) for factor in (left, right))
        return builder.add(sums, add_pairs(builder, builder.mul(*factors)))

    def first(self, start: ir.Value) -> ir.Value:
        return constant(self.sums, 0)

    def last(self, builder: ir.IRBuilder, sums: ir.Value, start: ir.Value) -> ir.Value:
        return builder.add(start, add_pairs(builder, sums))


class QuadProducts:
    """Sums of four products in 16 bits, of weights for which that is exact (`quads`): the left
    operand raised to u8, two groups of four k at once, one int32 lane for a column.

    `strip` columns of a group lie together.
    """

    unrolled = False
    groups = PAIRS

    def __init__(self, target: InstructionSet, strip: int) -> None:
        self.target, self.strip = target, strip
        self.columns = target.pair_columns
        self.left_bytes = GROUP
        self.sums = vector(I32, self.columns)
        self.bytes = vector(I8, self.columns * GROUP)
        self.words = vector(I16, self.columns * GROUP // 2)

    def left(self, builder: ir.IRBuilder, address: ir.Value) -> list[ir.Value]:
        groups = [load(builder, offset(builder, address, p * GROUP), I32) for p in range(PAIRS)]
        return [
            builder.bitcast(splat(builder, group, self.columns), self.bytes) for group in groups
        ]

    def right(self, builder: ir.IRBuilder, address: ir.Value) -> list[ir.Value]:
        step = self.strip * GROUP
        return [load(builder, offset(builder, address, p * step), self.bytes) for p in range(PAIRS)]

    def step(
        self, builder: ir.IRBuilder, sums: ir.Value, left: list[ir.Value], right: list[ir.Value]
    ) -> ir.Value:
        products = [
            call(builder, self.target.pair_products, self.words, raised, weights)
            for raised, weights in zip(left, right, strict=True)
        ]
        words = reduce(builder.add, products)
        ones = constant(self.words, 1)
        return builder.add(sums, call(builder, self.target.pair_sums, self.sums, words, ones))

    def first(self, start: ir.Value) -> ir.Value:
        return start

    def last(self, builder: ir.IRBuilder, sums: ir.Value, start: ir.Value) -> ir.Value:
        return sums


Step = FourWay | PairProducts | QuadProducts


def dot(target: InstructionSet) -> FourWay | PairProducts:
    """The innermost step for a target."""
    return FourWay(target) if target.intrinsic else PairProducts(target)
