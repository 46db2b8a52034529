"""Compiled twin of `int8ref.reference.linear`, and its fusion with argmax."""

from __future__ import annotations

from int8ref.abi.frame import (
    ADDRESS,
    ITEM,
    QUADS,
    START_SHIFT,
    WIDTH,
    WORKSPACE,
    operands_at,
)
from int8ref.kernels.gemm.coarse import coarse_argmax
from int8ref.kernels.gemm.driver import (
    ARGMAX,
    COPY,
    REQUANTIZE,
    gemm,
    gemm_i32,
    gemm_requantize,
    gemm_shift,
    workspace_bytes,
)
from int8ref.kernels.gemm.driver import SHIFT as SHIFT_ONLY
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import address_of, rows_of, word
from int8ref.reference.linear import Linear

AT = operands_at(Linear)
X, WEIGHT, BIAS, OUT = (AT[f] for f in ("x", "weight", "bias", "out"))
MULTIPLIER, SHIFT, LOW, HIGH = (AT[f] for f in ("multiplier", "shift", "low", "high"))


def linear(x, weight, bias, multiplier, shift, low, high, out, workspace):
    """Multiply by a weight matrix.

    `weight` is packed (`gemm.layout.pack`), `bias` holds the start values that belong to it, with
    bias_shift applied; `multiplier` is int16 [n] or None, and `shift` int8 [1] beside it, [n] by
    itself, or None, as in the reference.
    """
    _variant(multiplier is not None, shift is not None)(
        x, weight, bias, multiplier, shift, low, high, out, workspace
    )


def _variant(scaled, narrowed):
    """The product that fits: accumulators, shifted data, or data on any other scale."""

    def accumulators(x, weight, bias, multiplier, shift, low, high, out, workspace):
        gemm_i32(x, weight, bias, out, workspace)

    def shifted(x, weight, bias, multiplier, shift, low, high, out, workspace):
        gemm_shift(x, weight, bias, shift, low, high, out, workspace)

    def multiplied(x, weight, bias, multiplier, shift, low, high, out, workspace):
        gemm_requantize(x, weight, bias, multiplier, shift, low, high, out, workspace)

    if not narrowed:
        return accumulators
    return multiplied if scaled else shifted


@kernel
def step(frame, code):
    """Run a linear instruction, or one that the assembler has fused with argmax: `out` has items of
    0 bytes then, and is the address of int32 [rows].

    Where there are coarse weights for the argmax, `multiplier`, `shift` and `low`, which it has no
    use for, are those weights, their start values and `Coarse.length`; the weight is not packed.
    """
    rows, depth = rows_of(frame, code, X), word(code, X + WIDTH)
    shift, multiplier = word(code, SHIFT + ADDRESS), word(code, MULTIPLIER + ADDRESS)
    workspace = word(frame, WORKSPACE)
    if word(code, OUT + ITEM) == 0 and multiplier != 0:
        columns = word(code, OUT + WIDTH)
        coarse_argmax(
            address_of(frame, code, X),
            rows,
            depth,
            multiplier,
            shift,
            word(code, LOW),
            word(code, WEIGHT + ADDRESS),
            word(code, BIAS + ADDRESS),
            columns,
            address_of(frame, code, OUT),
            workspace,
            workspace + 4 * rows,
        )
        return
    if word(code, OUT + ITEM) == 0:
        kind = ARGMAX
    elif shift == 0:
        kind = COPY
    else:
        kind = SHIFT_ONLY if multiplier == 0 else REQUANTIZE
    gemm(
        kind,
        word(code, QUADS),
        address_of(frame, code, X),
        rows,
        depth,
        word(code, WEIGHT + ADDRESS),
        word(code, BIAS + ADDRESS),
        word(code, START_SHIFT),
        word(code, OUT + WIDTH),
        multiplier,
        shift,
        word(code, LOW),
        word(code, HIGH),
        address_of(frame, code, OUT),
        workspace + workspace_bytes(rows, depth),
        workspace,
    )
