"""Compiled twin of `int8ref.reference.attention_polynomial`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.arithmetic import bit_length, rounding_shift_right, shift_right
from int8ref.kernels.attention import HEADS, attend_arrays, attend_code
from int8ref.kernels.compile import kernel
from int8ref.kernels.views import array, word
from int8ref.machine.frame import ADDRESS, operands_at
from int8ref.reference import attention_polynomial as meaning
from int8ref.reference.attention import WEIGHT_BITS

BASE_BITS = np.int32(meaning.BASE_BITS)
BASE_HALF = np.int32(1 << (meaning.BASE_BITS - 1))
MAX_SHIFT = np.int64(meaning.MAX_SHIFT)

AT = operands_at(meaning.AttentionPolynomial)
DEGREE, SCORE_BIAS, SCORE_SHIFT, DELTA_MULTIPLIER, DELTA_SHIFT = (
    AT[f] for f in ("degree", "score_bias", "score_shift", "delta_multiplier", "delta_shift")
)


@kernel
def attention_polynomial(
    query,
    key,
    value,
    sentence,
    key_offsets,
    heads,
    head_width,
    query_column,
    key_column,
    value_column,
    context_multiplier,
    context_shift,
    degree,
    score_bias,
    score_shift,
    delta_multiplier,
    delta_shift,
    out,
    workspace,
):
    """Polynomial attention of every row over what it sees; out int8 [rows, heads * head_width]."""
    attend_arrays(
        polynomial_weights,
        (degree, score_bias, score_shift, delta_multiplier, delta_shift),
        query,
        key,
        value,
        sentence,
        key_offsets,
        heads,
        head_width,
        query_column,
        key_column,
        value_column,
        context_multiplier,
        context_shift,
        out,
        workspace,
    )


@kernel
def polynomial_weights(scores, h, operands):
    """Scores to weights, in place; returns their sum.  The largest score has the largest weight."""
    degree, score_bias, score_shift, delta_multiplier, delta_shift = operands
    bias = np.int32(score_bias[h])
    largest = np.int32(-bias)
    for j in range(len(scores)):
        largest = max(largest, scores[j])
    least = np.int64(score_shift[h])
    e = max(bit_length(np.int32(largest + bias)) - np.int64(BASE_BITS), least)
    k = np.int64(delta_shift[h]) + np.int64(degree) * (e - least)
    delta = np.int32(rounding_shift_right(delta_multiplier[h], min(k, MAX_SHIFT)))
    down = np.int32(e)
    half = np.int32(np.int32(np.int32(1) << down) >> np.int32(1))
    top = np.int32(_power(shift_right(np.int32(np.int32(largest + bias) + half), down), degree))
    g = bit_length(np.int32(top + delta)) - np.int64(WEIGHT_BITS)
    drop = np.int32(max(g, np.int64(0)))
    lift = np.int32(max(-g, np.int64(0)))
    rounding = np.int32(np.int32(np.int32(1) << drop) >> np.int32(1))
    total = np.int32(0)
    for j in range(len(scores)):
        x = max(np.int32(scores[j] + bias), np.int32(0))
        t = np.int32(_power(shift_right(np.int32(x + half), down), degree) + delta)
        weight = shift_right(np.int32(np.int32(t << lift) + rounding), drop)
        scores[j] = weight
        total = np.int32(total + weight)
    return total


@kernel
def _power(u, degree):
    """Twin of `power` in int32."""
    if degree == 1:
        return np.int32(u << BASE_BITS)
    square = np.int32(u * u)
    if degree == 2:
        return square
    scaled = shift_right(np.int32(square + BASE_HALF), BASE_BITS)
    return np.int32(scaled * (u if degree == 3 else scaled))


@kernel
def step(frame, code):
    """Run an attention_polynomial instruction."""
    heads = word(code, HEADS)
    bias = array(word(code, SCORE_BIAS + ADDRESS), (heads,), np.int32)
    least = array(word(code, SCORE_SHIFT + ADDRESS), (heads,), np.int8)
    delta = array(word(code, DELTA_MULTIPLIER + ADDRESS), (heads,), np.int32)
    shift = array(word(code, DELTA_SHIFT + ADDRESS), (heads,), np.int8)
    attend_code(frame, code, polynomial_weights, (word(code, DEGREE), bias, least, delta, shift))
