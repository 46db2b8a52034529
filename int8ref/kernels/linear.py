"""Compiled twin of `int8ref.reference.linear`, and its fusion with argmax."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from int8ref.kernels.compile import OPTIONS, kernel
from int8ref.kernels.gemm.driver import (
    gemm_argmax,
    gemm_i32,
    gemm_requantize,
    gemm_shift,
    workspace_bytes,
)
from int8ref.kernels.views import matrix, panels, scratch, tensor1
from int8ref.machine.frame import ADDRESS, WIDTH, operands_at
from int8ref.reference.linear import Linear

AT = operands_at(Linear)
X, WEIGHT, BIAS, OUT = (AT[f] for f in ("x", "weight", "bias", "out"))
MULTIPLIER, SHIFT, LOW, HIGH = (AT[f] for f in ("multiplier", "shift", "low", "high"))


def linear(x, weight, bias, multiplier, shift, low, high, out, workspace):
    """Multiply by a weight matrix.

    `weight` is packed (`gemm.layout.pack`), `bias` holds the start values that belong to it, with
    bias_shift applied; `multiplier` and `shift` are int32 [n] or None as in the reference.
    """
    _variant(multiplier is not None, shift is not None)(
        x, weight, bias, multiplier, shift, low, high, out, workspace
    )


@overload(linear, jit_options=OPTIONS)
def _compiled_linear(x, weight, bias, multiplier, shift, low, high, out, workspace):
    given = (not isinstance(operand, types.NoneType) for operand in (multiplier, shift))
    return _variant(*given)


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
    """Run a linear instruction."""
    x = matrix(frame, code, X, np.int8)
    n = code[OUT + WIDTH]
    weight = panels(code[WEIGHT + ADDRESS], n, x.shape[1])
    bias = tensor1(code[BIAS + ADDRESS], n, np.int32)
    workspace = scratch(frame, workspace_bytes(x.shape[0], x.shape[1]))
    low, high = code[LOW], code[HIGH]
    if code[SHIFT + ADDRESS] == 0:
        out = matrix(frame, code, OUT, np.int32)
        linear(x, weight, bias, None, None, low, high, out, workspace)
        return
    data = matrix(frame, code, OUT, np.int8)
    shift = tensor1(code[SHIFT + ADDRESS], n, np.int32)
    if code[MULTIPLIER + ADDRESS] == 0:
        linear(x, weight, bias, None, shift, low, high, data, workspace)
    else:
        multiplier = tensor1(code[MULTIPLIER + ADDRESS], n, np.int32)
        linear(x, weight, bias, multiplier, shift, low, high, data, workspace)


@kernel
def argmax_step(frame, code, index, value):
    """Run a linear instruction fused with argmax: argmax(linear(x)) into index, the maxima to value."""
    x = matrix(frame, code, X, np.int8)
    n = code[OUT + WIDTH]
    weight = panels(code[WEIGHT + ADDRESS], n, x.shape[1])
    bias = tensor1(code[BIAS + ADDRESS], n, np.int32)
    workspace = scratch(frame, workspace_bytes(x.shape[0], x.shape[1]))
    gemm_argmax(x, weight, bias, n, index, value, workspace)
