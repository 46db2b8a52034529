"""Emits matrix products, in the forms that other operations need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.reference.linear import MIN_FACTOR_SHIFT, Linear
from int8ref.reference.requantize import Requantize
from weights_import.arithmetic.thresholds import percentile
from weights_import.lowering.emitter import Emitter, one_if_equal
from weights_import.lowering.integer_weights import Rows
from weights_import.lowering.least_scales import at_least, least_result
from weights_import.lowering.scale_propagation import (
    WIDE_MAX,
    Float64,
    Quantized,
    Real,
    integer_bias,
    logit_bias,
)
from weights_import.lowering.scaled import Scaled

LEAST_LOGIT = 2.0**-24
"""The least unit of the logits, as a share of their usual bias."""

Start = tuple[NDArray[np.integer], int]
"""A bias in integers, and its shift."""


def bias_of(emitter: Emitter, name: str) -> NDArray[Any]:
    """The bias of a product; zeros where it has none."""
    tensors = emitter.model.tensors
    bias = f"{name}.bias"
    return tensors[bias] if bias in tensors else np.zeros(tensors.shape(f"{name}.weight")[0], "f4")


def rows_of(emitter: Emitter, names: Sequence[str], x: Scaled, free: bool = False) -> Rows:
    """One or more weights side by side that multiply x, and their bias."""
    rows = emitter.weights.rows(list(names), x.name, x.scale, free)
    return rows.biased(np.concatenate([bias_of(emitter, name) for name in names]))


def accumulate(emitter: Emitter, name: str, x: Scaled) -> Scaled:
    """x times a weight, as accumulators.

    If each row of x has its own exponent, the product lacks the bias.
    """
    if not x.exponent:
        return accumulated(emitter, name, rows_of(emitter, [name], x), x)
    product = accumulated(emitter, name, emitter.weights.rows([name], x.name, x.scale), x)
    return replace(product, exponent=x.exponent, bias=bias_of(emitter, name))


def accumulated(
    emitter: Emitter, name: str, rows: Rows, x: Scaled, wanted: Float64 | None = None
) -> Scaled:
    """x times rows, as accumulators.

    `wanted` is the scale to which they are requantised, if they are.
    """
    weight = emitter.weights.beside(rows, wanted)
    kept = emitter.tensor(f"{name}.weight", weight.x)
    return _emit(emitter, f"{name}.accumulator", kept, weight, _start(weight, rows.bias, x), x)


def wide(emitter: Emitter, out: str, name: str, rows: Rows, x: Scaled, scale: Float64) -> Scaled:
    """x times rows in 16 bits, from the accumulators of `name`.

    The scale is `scale`, or a larger scale that is reached.
    """
    scale = at_least(scale, least_result(rows.scale, 1))
    product = accumulated(emitter, name, rows, x, scale)
    fields = emitter.factors(out, product.scale / scale, 1)
    emitter.add(Requantize(x=product.name, limit=WIDE_MAX, out=out, **fields))
    return Scaled(out, scale)


def linear(
    emitter: Emitter,
    out: str,
    names: Sequence[str],
    x: Scaled,
    scale: Float64,
    zero: int | NDArray[np.int64] = 0,
    group: int = 1,
) -> Scaled:
    """x times one or more weights side by side, requantised to 8 bits.

    The scale is `scale`, or a larger scale that is reached.  The scales of each `group` of channels
    keep their proportions.  `zero` is the integer that stands for 0.  With -127 nothing is
    negative, which is ReLU.
    """
    by_shift = emitter.options.requantize == "shift"
    rows = rows_of(emitter, names, x, free=by_shift)
    scale = at_least(scale, least_result(rows.scale, MIN_FACTOR_SHIFT), group)
    rows = rows.biased(zero * scale)
    if by_shift:
        weight, shift = emitter.weights.shifted(rows, scale)
        fields = {"shift": emitter.tensor(f"{out}.shift", shift)}
    else:
        weight = emitter.weights.beside(rows, scale)
        fields = emitter.factors(out, weight.scale / scale, MIN_FACTOR_SHIFT)
    name = emitter.tensor(f"{out}.weight", weight.x)
    _emit(emitter, out, name, weight, _start(weight, rows.bias, x), x, **fields)
    return Scaled(out, scale, zero=zero)


def logits(emitter: Emitter, out: str, name: str, x: Scaled) -> Scaled:
    """The logits, as accumulators.

    All logits have one scale, because a search compares them.  Most biases fit in 32 bits at this
    scale, even if the matrix is nearly zero.
    """
    bias = bias_of(emitter, name)
    least = percentile(np.abs(bias), 50) * LEAST_LOGIT
    tied = emitter.model.tied.get(f"{name}.weight")
    weight = emitter.weights.product_table(f"{name}.weight", x.scale, tied, least)
    if np.any(x.zero):
        bias = bias - _of_zeros(weight, x) * weight.scale
    start = logit_bias(bias, weight.scale, weight.x)
    kept = emitter.table(f"{name}.weight", weight)
    return _emit(emitter, out, kept, weight, start, x)


def _start(weight: Quantized, bias: Real, x: Scaled) -> Start:
    """The integers with which the accumulators of x times a weight begin, and their shift."""
    sums = weight.x.sum(axis=1, dtype=np.int64)
    return integer_bias(bias - _of_zeros(weight, x) * weight.scale, weight.scale, sums=sums)


def _of_zeros(weight: Quantized, x: Scaled) -> NDArray[np.int64]:
    """The products of a weight with the integers that stand for 0."""
    products = weight.x * np.asarray(x.zero, np.int64)
    found: NDArray[np.int64] = products.sum(axis=1, dtype=np.int64)
    return found


def _emit(
    emitter: Emitter,
    out: str,
    weight_name: str,
    weight: Quantized,
    start: Start,
    x: Scaled,
    **fields: Any,
) -> Scaled:
    integers, shift = start
    emitter.add(
        Linear(
            x=x.name,
            weight=weight_name,
            bias=emitter.tensor(f"{out}.bias", integers),
            bias_shift=shift,
            out=out,
            **fields,
        )
    )
    return Scaled(out, one_if_equal(weight.scale))
