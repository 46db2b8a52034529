"""Functions of float64 numbers with one body for Python and for compiled code.

`@leaf` makes a plain function callable in kernels.  Python runs its body with floats.  For compiled
code the body runs once with `Traced` arguments, and each of its operations appends one instruction
of LLVM.  Therefore both forms round in the same places, and a function costs no type inference.

The body has no branches: `select` takes one of two values, and computes both.  Therefore LLVM makes
vector code of loops over these functions.  The body must not divide by zero, because Python raises
an error where compiled code gives an infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llvmlite import ir
from numba import types
from numba.core import cgutils

from int8ref.kernels.ir.lowering import I32, I64, lowers
from int8ref.kernels.ir.vector import call

DOUBLE = ir.DoubleType()
SHIFTER = 1.5 * 2.0**52
"""A whole number k is in the lowest bits of the float64 SHIFTER + k, for |k| < 2^51."""
FRACTION_BITS = 52
ROOT_HALF_BITS = 0x3FE6A09E667F3BCD
"""The bits of the float64 nearest to sqrt(1/2)."""
ROOT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")

Function = TypeVar("Function", bound=Callable[..., float])


class Traced:
    """A number of compiled code, or the result of a comparison of two of them."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def apply(self, instruction: str, *operands: object) -> Traced:
        """The result of the instruction of LLVM with this name."""
        values = [_value(operand) for operand in operands]
        return Traced(self.builder, getattr(self.builder, instruction)(*values))

    def compare(self, sign: str, other: float) -> Any:
        """A comparison that is false for nan."""
        values = _value(self), _value(other)
        return Traced(self.builder, self.builder.fcmp_ordered(sign, *values))

    def __add__(self, other: float) -> Traced:
        return self.apply("fadd", self, other)

    def __radd__(self, other: float) -> Traced:
        return self.apply("fadd", other, self)

    def __sub__(self, other: float) -> Traced:
        return self.apply("fsub", self, other)

    def __rsub__(self, other: float) -> Traced:
        return self.apply("fsub", other, self)

    def __mul__(self, other: float) -> Traced:
        return self.apply("fmul", self, other)

    def __rmul__(self, other: float) -> Traced:
        return self.apply("fmul", other, self)

    def __truediv__(self, other: float) -> Traced:
        return self.apply("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Traced:
        return self.apply("fdiv", other, self)

    def __neg__(self) -> Traced:
        return self.apply("fneg", self)

    def __abs__(self) -> Traced:
        return Traced(self.builder, call(self.builder, "llvm.fabs.f64", DOUBLE, self.value))

    def __lt__(self, other: float) -> Any:
        return self.compare("<", other)

    def __gt__(self, other: float) -> Any:
        return self.compare(">", other)

    def __bool__(self) -> bool:
        raise TypeError("a leaf has no branches; use select")


def leaf(function: Function) -> Function:
    """Make a function of float64 numbers callable in kernels."""

    @lowers(function, types.float64)
    def emit(builder: ir.IRBuilder, *arguments: ir.Value) -> ir.Value:
        traced: list[Any] = [Traced(builder, argument) for argument in arguments]
        return _value(function(*traced))

    return function


def select(condition: bool, one: float, other: float) -> float:
    """`one` if the condition is true, else `other`."""
    if isinstance(condition, Traced):
        return condition.apply("select", condition, one, other)
    return one if condition else other


def is_nan(x: float) -> bool:
    if isinstance(x, Traced):
        return Traced(x.builder, x.builder.fcmp_unordered("uno", x.value, x.value))
    return math.isnan(x)


def with_sign(size: float, sign: float) -> float:
    """|size| with the sign of `sign`, which may be a zero with a sign."""
    if isinstance(sign, Traced):
        values = _value(size), sign.value
        return Traced(sign.builder, call(sign.builder, "llvm.copysign.f64", DOUBLE, *values))
    return math.copysign(size, sign)


def whole(x: float) -> float:
    """The whole number nearest to x, |x| < 2^51; halves go to the even one."""
    return (x + SHIFTER) - SHIFTER


def times_power(x: float, k: float) -> float:
    """x * 2^k for a whole number k, if x and the result are normal numbers."""
    if isinstance(k, Traced):
        exponent = (k + SHIFTER).apply("bitcast", k + SHIFTER, I64)
        shifted = exponent.apply("shl", exponent, I64(FRACTION_BITS))
        bits = k.apply("bitcast", x, I64)
        return k.apply("bitcast", bits.apply("add", bits, shifted), DOUBLE)
    return math.ldexp(x, int(k))


def exponent_of(x: float) -> float:
    """The whole number k for which x * 2^-k is in [sqrt(1/2), sqrt(2)); x is normal and positive.

    The bits of a float64 grow with the number, and the exponent is above the fraction.  Therefore
    the difference from the bits of sqrt(1/2) has k above the fraction.
    """
    if isinstance(x, Traced):
        bits = x.apply("bitcast", x, I64)
        k = bits.apply("ashr", bits.apply("sub", bits, I64(ROOT_HALF_BITS)), I64(FRACTION_BITS))
        zero = x.apply("bitcast", SHIFTER, I64)
        return x.apply("bitcast", k.apply("add", k, zero), DOUBLE) - SHIFTER
    fraction, k = math.frexp(x)
    return float(k if fraction >= ROOT_HALF else k - 1)


def looked_up(table: tuple[float, ...], index: float) -> float:
    """table[index] for a whole number 0 <= index < len(table)."""
    if isinstance(index, Traced):
        builder, zero = index.builder, I32(0)
        kind = ir.ArrayType(DOUBLE, len(table))
        place = cgutils.global_constant(builder, "table", ir.Constant(kind, list(table)))
        at = builder.sext(builder.fptosi(index.value, I32), I64)
        return Traced(builder, builder.load(builder.gep(place, [zero, at], inbounds=True)))
    return table[int(index)]


def polynomial(x: float, coefficients: Sequence[float]) -> float:
    """c[0] + x (c[1] + x (c[2] + ...)), from the inside to the outside."""
    found = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        found = found * x + coefficient
    return found


def _value(operand: object) -> Any:
    """The operand of an instruction: a number becomes a constant."""
    if isinstance(operand, Traced):
        return operand.value
    return ir.Constant(DOUBLE, operand) if isinstance(operand, int | float) else operand
