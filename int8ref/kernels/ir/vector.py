"""The idioms of LLVM vector IR in the leaves.

Addresses are i64 values.  Loads and stores promise no alignment.  This costs nothing on aligned
data, and never faults.
"""

# mypy: disable-error-code="no-untyped-call, untyped-decorator"

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils

from int8ref.kernels.ir.lowering import I32, I64


def vector(element: ir.Type, lanes: int) -> ir.Type:
    """A vector type; for one lane the element type, so that the same code handles the ragged
    end."""
    return ir.VectorType(element, lanes) if lanes > 1 else element


def constant(kind: ir.Type, value: int) -> ir.Constant:
    """A constant with `value` in every lane."""
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def offset(
    builder: ir.IRBuilder, address: ir.Value, count: ir.Value | int, size: int = 1
) -> ir.Value:
    """address + count * size."""
    if isinstance(count, int):
        return builder.add(address, ir.Constant(I64, count * size))
    return builder.add(address, builder.mul(count, ir.Constant(I64, size)))


def load(builder: ir.IRBuilder, address: ir.Value, kind: ir.Type) -> ir.Value:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=1)


def splat(builder: ir.IRBuilder, value: ir.Value, lanes: int) -> ir.Value:
    """A vector with `value` in every lane."""
    if lanes == 1:
        return value
    empty = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def sum_lanes(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The sum of all lanes; a scalar is returned unchanged."""
    if not isinstance(value.type, ir.VectorType):
        return value
    while value.type.count > 1:
        value = add_pairs(builder, value)
    return builder.extract_element(value, ir.Constant(I32, 0))


def variable(builder: ir.IRBuilder, first: ir.Value) -> ir.Value:
    """The address of a variable with the initial value `first`; LLVM keeps it in a register."""
    place = cgutils.alloca_once(builder, first.type)
    builder.store(first, place)
    return place


def greatest_lane(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The largest of all lanes; a scalar is returned unchanged."""
    if not isinstance(value.type, ir.VectorType):
        return value
    lanes = value.type.count
    while lanes > 1:
        lanes //= 2
        lower, upper = range(lanes), range(lanes, 2 * lanes)
        value = maximum(builder, pick(builder, value, lower), pick(builder, value, upper))
    return builder.extract_element(value, ir.Constant(I32, 0))


def pick(builder: ir.IRBuilder, value: ir.Value, lanes: Sequence[int]) -> ir.Value:
    """The lanes of `value` with these numbers."""
    empty = ir.Constant(value.type, ir.Undefined)
    mask = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
    return builder.shuffle_vector(value, empty, mask)


def add_pairs(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The sums of lanes 0 and 1, 2 and 3, and so on: half as many lanes."""
    lanes = value.type.count
    return builder.add(
        pick(builder, value, range(0, lanes, 2)), pick(builder, value, range(1, lanes, 2))
    )


def by_parity(builder: ir.IRBuilder, value: ir.Value) -> list[ir.Value]:
    """The even int32 lanes and the odd int32 lanes, each as int64; a scalar gives one int64.

    x86 multiplies the lower halves of 64-bit lanes.  Therefore even lanes need no work, and odd
    lanes need one shift.
    """
    if not isinstance(value.type, ir.VectorType):
        return [builder.sext(value, I64)]
    wide = builder.bitcast(value, vector(I64, value.type.count // 2))
    half = constant(wide.type, 32)
    return [builder.ashr(part, half) for part in (builder.shl(wide, half), wide)]


def upper_halves(builder: ir.IRBuilder, parts: list[ir.Value]) -> ir.Value:
    """The upper 32 bits of int64 lanes, in the lane order before `by_parity`."""
    if len(parts) == 1:
        return builder.trunc(builder.lshr(parts[0], constant(I64, 32)), I32)
    lanes = 2 * parts[0].type.count
    even, odd = (builder.bitcast(part, vector(I32, lanes)) for part in parts)
    order = [lane + 1 if lane % 2 == 0 else lanes + lane for lane in range(lanes)]
    return builder.shuffle_vector(even, odd, ir.Constant(vector(I32, lanes), order))


def call(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
    """A call of the LLVM intrinsic with this full name."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def prefetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    """Prefetch a cache line; never faults."""
    pointer = builder.inttoptr(address, ir.IntType(8).as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [pointer, I32(0), I32(3), I32(1)])


def maximum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.select(builder.icmp_signed(">", a, b), a, b)


def minimum(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


@contextmanager
def loop(
    builder: ir.IRBuilder, start: ir.Value | int, stop: ir.Value | int, step: int = 1
) -> Iterator[ir.Value]:
    """for index in range(start, stop, step)."""
    first, last = (ir.Constant(I64, x) if isinstance(x, int) else x for x in (start, stop))
    with cgutils.for_range_slice(builder, first, last, ir.Constant(I64, step), I64) as (index, _):
        yield index


def pieces(
    builder: ir.IRBuilder, width: ir.Value, *lanes: int
) -> list[tuple[int, ir.Value, ir.Value]]:
    """(lanes, start, stop) of loops over `width`: one for each vector size, then the ragged end.

    The vector sizes are powers of two, and fall.
    """
    stops = [builder.and_(width, ir.Constant(I64, -size)) for size in lanes]
    starts = [ir.Constant(I64, 0), *stops]
    return list(zip((*lanes, 1), starts, (*stops, width), strict=True))
