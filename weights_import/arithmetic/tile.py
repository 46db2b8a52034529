"""The inner kernel of matrix products: a tile of sums in registers.

    y[i, j] += ((0 + x[i, 0] * w[0, j]) + x[i, 1] * w[1, j]) + ...

Each product and each sum is rounded to float32 by itself.  A lane of a register is a column j.
Therefore the number of lanes and the height of the tile do not change a result.

Weights may be bfloat16, the upper halves of float32: then half as many bytes are read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir

from int8ref.host.cpu import cpu
from int8ref.kernels.ir.lowering import I16, I32, lowers, view
from int8ref.kernels.ir.vector import constant, load, loop, offset, splat, store, variable
from weights_import.tensors import from_bfloat16

STRIP = 32
"""Columns of a tile, whose weights are contiguous."""
LANES = 16
FLOAT, BYTES = ir.FloatType(), 4
LINE = ir.VectorType(FLOAT, LANES)

Tile = Callable[[int, int, int, int, int, int, int], None]


def tallest() -> int:
    """The rows of the tallest tile that the registers of this CPU hold."""
    _, _, features = cpu()
    return 8 if "+avx512f" in features.split(",") else 4


def tile_of(rows: int, halves: bool = False) -> Tile:
    """The kernel for tiles of `rows` rows and STRIP columns; weights are float32 or `halves`."""

    def tile(x: int, x_row: int, x_step: int, w: int, depth: int, y: int, y_row: int) -> None:
        """Add the product of x [rows, depth] and w [depth, STRIP] to y.

        x, w, y: addresses; x_row, x_step, y_row: bytes from a row to the next, and from a column of
        x to the next.
        """
        stored = view(w, np.uint16 if halves else np.float32, (depth, STRIP))
        weights = from_bfloat16(stored) if halves else stored
        for i in range(rows):
            total = np.zeros(STRIP, np.float32)
            for c in range(depth):
                total = total + view(x + i * x_row + c * x_step, np.float32, (1,)) * weights[c]
            view(y + i * y_row, np.float32, (STRIP,))[:] += total

    @lowers(tile)
    def _tile_ir(
        builder: ir.IRBuilder,
        x: ir.Value,
        x_row: ir.Value,
        x_step: ir.Value,
        w: ir.Value,
        depth: ir.Value,
        y: ir.Value,
        y_row: ir.Value,
    ) -> None:
        parts = range(STRIP // LANES)
        zero = ir.Constant(LINE, [0.0] * LANES)
        totals = [[variable(builder, zero) for _ in parts] for _ in range(rows)]
        starts = [builder.add(x, builder.mul(x_row, ir.Constant(x.type, i))) for i in range(rows)]
        with loop(builder, 0, depth) as c:
            size = 2 if halves else BYTES
            at = offset(builder, w, c, STRIP * size)
            read = _load_halves if halves else _load_line
            weights = [read(builder, offset(builder, at, p, LANES * size)) for p in parts]
            step = builder.mul(c, x_step)
            for start, line in zip(starts, totals, strict=True):
                value = load(builder, builder.add(start, step), FLOAT)
                factor = splat(builder, value, LANES)
                for total, weight in zip(line, weights, strict=True):
                    product = builder.fmul(factor, weight)
                    builder.store(builder.fadd(builder.load(total), product), total)
        for i, line in enumerate(totals):
            row = builder.add(y, builder.mul(y_row, ir.Constant(y.type, i)))
            for part, total in enumerate(line):
                at = offset(builder, row, part, LANES * BYTES)
                store(builder, builder.fadd(load(builder, at, LINE), builder.load(total)), at)

    return tile


def _load_line(builder: ir.IRBuilder, at: ir.Value) -> ir.Value:
    return load(builder, at, LINE)


def _load_halves(builder: ir.IRBuilder, at: ir.Value) -> ir.Value:
    words = builder.zext(load(builder, at, ir.VectorType(I16, LANES)), ir.VectorType(I32, LANES))
    return builder.bitcast(builder.shl(words, constant(words.type, 16)), LINE)


TALLEST = tallest()
"""Rows of the tallest tile."""
tall, short = tile_of(TALLEST), tile_of(1)
tall_halves, short_halves = tile_of(TALLEST, halves=True), tile_of(1, halves=True)
