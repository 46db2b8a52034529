"""Heights of tiles: the split of rows into tiles, and one micro-kernel for each height.

Each LLVM function has a fixed number of rows, because the sums of the rows are in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from int8ref.kernels.gemm.target import TARGET, TILE_ROWS
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import I64

PARAMETERS = 7
"""Number of addresses and sizes that a micro-kernel takes."""


@kernel
def split_rows(rows: int) -> tuple[int, int, int]:
    """(tiles, height, taller): the smallest number of tiles, with heights that differ by at most 1.

    The first `taller` tiles have height + 1 rows; the others have `height` rows.  `rows` is
    not negative.
    """
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    return tiles, rows // max(tiles, 1), rows % max(tiles, 1)


def height_function(
    module: ir.Module, name: str, height: int, emit: Callable[..., None]
) -> ir.Function:
    """The LLVM function of one height, which exists once in a module.

    emit(builder, height, *parameters) writes its body.
    """
    name = f"int8ref.{name}.{TARGET.name}.{height}"
    if name in module.globals:
        return module.globals[name]
    tile = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * PARAMETERS), name)
    tile.linkage = "linkonce_odr"
    tile.attributes.add("noinline")
    builder = ir.IRBuilder(tile.append_basic_block("entry"))
    emit(builder, height, *tile.args)
    builder.ret_void()
    return tile


def call_by_height(
    builder: ir.IRBuilder,
    function: Callable[[ir.Module, int], ir.Function],
    rows: ir.Value,
    arguments: Sequence[ir.Value],
) -> None:
    """Call function(module, rows) with these arguments; 1 <= rows <= 6."""
    done = builder.append_basic_block("height.done")
    switch = builder.switch(rows, done)
    for height in range(1, TILE_ROWS + 1):
        with builder.goto_block(builder.append_basic_block(f"height.{height}")):
            switch.add_case(height, builder.block)
            builder.call(function(builder.module, height), arguments)
            builder.branch(done)
    builder.position_at_end(done)
