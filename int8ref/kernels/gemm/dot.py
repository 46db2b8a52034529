"""The innermost step: one or two groups of four k, for the columns of one register.

Each class has these methods:

    left    loads a group of the left operand, and repeats it over a register
    right   loads weights to a register
    along   loads a register of consecutive k of the left operand, for products along k
            (QuadProducts has no such method)
    step    adds a step's products to an accumulator
    first   the first value of an accumulator
    last    the sums of an accumulator
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
    """A dot-product instruction: four k at once, one int32 lane for each column."""

    unrolled = True  # whether tall tiles are faster with two groups in a turn of the loop
    groups = 1  # groups of a step

    def __init__(self, target: InstructionSet) -> None:
        self.intrinsic = target.intrinsic
        self.columns = target.columns
        self.left_bytes = GROUP
        self.sums = vector(I32, target.columns)
        # x86 intrinsics are declared over i32 lanes, because older LLVM knows only this form.
        # Newer LLVM upgrades it.
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
    """Products of s16 in pairs, in plain IR: two int32 lanes for each column, added at the end."""

    groups = 1
    unrolled = False  # because with two groups LLVM spills accumulators

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
    """Sums of four products in 16 bits, for weights for which they are exact (`quads`).

    The left operand is raised to u8.  A step takes two groups of four k, and each column has one
    int32 lane.  `strip` columns of a group are contiguous.
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
