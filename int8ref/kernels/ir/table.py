"""Tables of 256 bytes, for 64 bytes at once.

The instruction vpermi2b of AVX-512 VBMI reads 64 entries of a table of 128 bytes.  Two of them read
a table of 256 bytes: one for each half, and the sign of the index selects the half.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from int8ref.host.cpu import cpu
from int8ref.kernels.ir.lowering import I8, I64, lowers, view
from int8ref.kernels.ir.vector import call, load, loop, offset, splat, store, vector

LANES = 64
NEEDED = {"avx512f", "avx512bw", "avx512vl", "avx512vbmi"}
PERMUTE = "llvm.x86.avx512.vpermi2var.qi.512"


def has_permutation(features: str) -> bool:
    """Whether an LLVM feature string ("+avx2,-avx512f,...") has the instruction."""
    return {f"+{feature}" for feature in NEEDED} <= set(features.split(","))


VECTORS = has_permutation(cpu()[2])
"""Whether `read_table` may be compiled for this CPU."""


def read_table(table: int, x: int, out: int, rows: int, columns: int, pitch: int) -> None:
    """out[r, c] = table[x[r, c] + 128] for int8 rows that lie `pitch` bytes apart.

    `table` is the address of int8 [256].  `out` may be `x`.
    """
    entries = view(table, np.int8, (256,)).copy()
    for r in range(rows):
        row = view(x + r * pitch, np.int8, (columns,))
        view(out + r * pitch, np.int8, (columns,))[:] = entries[row.astype(np.int64) + 128]


@lowers(read_table)
def _read_table_ir(
    builder: ir.IRBuilder,
    table: ir.Value,
    x: ir.Value,
    out: ir.Value,
    rows: ir.Value,
    columns: ir.Value,
    pitch: ir.Value,
) -> None:
    kind = vector(I8, LANES)
    parts = [load(builder, offset(builder, table, I64(LANES * i)), kind) for i in range(4)]
    whole = builder.and_(columns, I64(-LANES))
    rest = builder.sub(columns, whole)
    with loop(builder, 0, rows) as r:
        first = builder.mul(r, pitch)
        source, target = (builder.add(base, first) for base in (x, out))
        with loop(builder, 0, whole, LANES) as c:
            found = _entries(builder, parts, load(builder, offset(builder, source, c), kind))
            store(builder, found, offset(builder, target, c))
        _rest(builder, parts, offset(builder, source, whole), offset(builder, target, whole), rest)


def _entries(builder: ir.IRBuilder, parts: list[ir.Value], x: ir.Value) -> ir.Value:
    """The entries of 64 indices, which are negative for the first half of the table."""
    kind = vector(I8, LANES)
    low = call(builder, PERMUTE, kind, parts[0], x, parts[1])
    high = call(builder, PERMUTE, kind, parts[2], x, parts[3])
    negative = builder.icmp_signed("<", x, ir.Constant(kind, [0] * LANES))
    return builder.select(negative, low, high)


def _rest(
    builder: ir.IRBuilder, parts: list[ir.Value], x: ir.Value, out: ir.Value, count: ir.Value
) -> None:
    """The last columns, fewer than 64: no byte beyond them is read or written."""
    kind = vector(I8, LANES)
    with builder.if_then(builder.icmp_signed(">", count, I64(0))):
        lanes = ir.Constant(kind, list(range(LANES)))
        chosen = builder.icmp_signed("<", lanes, splat(builder, builder.trunc(count, I8), LANES))
        pointers = [builder.inttoptr(address, kind.as_pointer()) for address in (x, out)]
        nothing = ir.Constant(kind, [0] * LANES)
        given = _masked(builder, "load", kind, pointers[0], ir.IntType(32)(1), chosen, nothing)
        found = _entries(builder, parts, given)
        void = ir.VoidType()
        _masked(builder, "store", void, found, pointers[1], ir.IntType(32)(1), chosen)


def _masked(builder: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
    """A call of a masked load or store of 64 bytes."""
    return call(builder, f"llvm.masked.{name}.v64i8.p0", result, *arguments)
