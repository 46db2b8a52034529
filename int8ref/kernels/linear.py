"""Compiled twin of `int8ref.reference.linear`, and of its fusion with argmax.

Both are one native function, because compiling the product takes seconds.
"""

from __future__ import annotations

from int8ref.abi.frame import ADDRESS, QUADS, START_SHIFT, WIDTH, operands_at
from int8ref.abi.fused import LinearArgmax
from int8ref.abi.opcodes import OPCODES
from int8ref.kernels.gemm.driver import ARGMAX, COPY, REQUANTIZE, SHIFT, Epilogue, Product, gemm
from int8ref.kernels.gemm.layout import PANEL
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, frame_at, rows_of, word, workspace
from int8ref.reference.linear import Linear

AT, FUSED = operands_at(Linear), operands_at(LinearArgmax)
LINEAR_ARGMAX = OPCODES["linear_argmax"]


@kernel
def step(frame, code):
    """Run a linear instruction: the accumulators, shifted data, or data on any other scale.

    The weight is packed, and `bias` holds its start values (`machine.model.prepare`).  A
    linear_argmax instruction has the same first operands (`abi.fused`); its largest outputs are in
    scratch memory.  A frame with several shares computes only some of the columns, and the largest
    outputs of these columns go to its partial results.
    """
    fused = word(code, 0) == LINEAR_ARGMAX
    shift, multiplier = word(code, AT.shift + ADDRESS), word(code, AT.multiplier + ADDRESS)
    kind = COPY if shift == 0 else SHIFT if multiplier == 0 else REQUANTIZE
    columns, largest = word(code, AT.out + WIDTH), workspace(frame, code)
    rows = rows_of(frame, code, AT.x)
    room = largest
    if fused:
        kind, columns, room = ARGMAX, word(code, FUSED.columns), largest + 4 * rows
    out, shape = address_of(frame, code, AT.out), frame_at(frame)
    if fused and shape.shares > 1:
        out = shape.partials + shape.share * rows * 8
        largest = out + 4 * rows
    panels = (columns + PANEL - 1) // PANEL
    begin = shape.share * panels // shape.shares * PANEL
    end = min(columns, (shape.share + 1) * panels // shape.shares * PANEL)
    x, depth = address_of(frame, code, AT.x), word(code, AT.x + WIDTH)
    weight, start = word(code, AT.weight + ADDRESS), word(code, AT.bias + ADDRESS)
    quads, start_shift = word(code, QUADS), word(code, START_SHIFT)
    product = Product(quads, x, rows, depth, weight, start, start_shift, columns, begin, end)
    low, high = word(code, AT.low), word(code, AT.high)
    gemm(product, Epilogue(kind, multiplier, shift, low, high, out, largest), room)
