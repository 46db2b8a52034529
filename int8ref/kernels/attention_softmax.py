"""Compiled twin of `int8ref.reference.attention_softmax`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.arithmetic import exp2_negative, shift_right
from int8ref.kernels.attention import HEADS, attend_arrays, attend_code
from int8ref.kernels.compile import kernel
from int8ref.kernels.views import array, word
from int8ref.machine.frame import ADDRESS, operands_at
from int8ref.reference.attention_softmax import AttentionSoftmax

AT = operands_at(AttentionSoftmax)
SCORE_MULTIPLIER, SCORE_LIMIT, SCORE_SHIFT = (
    AT[f] for f in ("score_multiplier", "score_limit", "score_shift")
)


@kernel
def attention_softmax(
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
    limit,
    score_multiplier,
    score_limit,
    score_shift,
    out,
    workspace,
):
    """Softmax attention of every row over what it sees; out [rows, heads * head_width]."""
    attend_arrays(
        softmax_weights,
        (score_multiplier, score_limit, score_shift),
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
        limit,
        out,
        workspace,
    )


@kernel
def softmax_weights(scores, h, operands):
    """Scores to weights (A4), in place; returns their sum."""
    multiplier, limit, shift = operands
    largest = scores[0]
    for j in range(1, len(scores)):
        largest = max(largest, scores[j])
    factor, most, s = np.int32(multiplier[h]), np.int32(limit[h]), np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    total = np.int32(0)
    for j in range(len(scores)):
        distance = min(np.int32(largest - scores[j]), most)
        z = shift_right(np.int32(np.int32(distance * factor) + half), s)
        weight = exp2_negative(z)
        scores[j] = weight
        total = np.int32(total + weight)
    return total


@kernel
def step(frame, code):
    """Run an attention_softmax instruction."""
    heads = word(code, HEADS)
    multiplier = array(word(code, SCORE_MULTIPLIER + ADDRESS), (heads,), np.int32)
    limit = array(word(code, SCORE_LIMIT + ADDRESS), (heads,), np.int32)
    attend_code(frame, code, softmax_weights, (multiplier, limit, word(code, SCORE_SHIFT)))
