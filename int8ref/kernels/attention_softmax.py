"""Compiled twin of `int8ref.reference.attention_softmax`."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.arithmetic import exp2_negative, reciprocal
from int8ref.kernels.compile import kernel
from int8ref.kernels.views import column, matrix, scratch, tensor1
from int8ref.machine.frame import ADDRESS, operands_at
from int8ref.reference import attention_softmax as meaning

MAX_KEYS = meaning.MAX_KEYS
MULTIPLIER_BITS = np.int64(meaning.MULTIPLIER_BITS)
WORKSPACE = 4 * MAX_KEYS
"""Bytes of workspace: the scores, then the weights, of one row and head."""


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
    score_multiplier,
    score_limit,
    score_shift,
    context_multiplier,
    context_shift,
    out,
    workspace,
):
    """Softmax attention of every row over its own sentence; out int8 [rows, heads * head_width].

    `workspace`: uint8 [WORKSPACE + 4 * head_width].
    """
    scores = workspace[:WORKSPACE].view(np.int32)
    acc = workspace[WORKSPACE : WORKSPACE + 4 * head_width].view(np.int32)
    for r in range(len(sentence)):
        first = key_offsets[sentence[r]]
        count = key_offsets[sentence[r] + 1] - first
        weights = scores[:count]
        for h in range(heads):
            column = h * head_width
            q = query[r, query_column + column : query_column + column + head_width]
            start = key_column + column
            for j in range(count):
                weights[j] = _dot(q, key[first + j, start : start + head_width])
            total = _softmax_weights(weights, score_multiplier[h], score_limit[h], score_shift)
            inverse, bits = reciprocal(total)
            factor = (inverse * np.int64(context_multiplier[h])) >> MULTIPLIER_BITS
            shift = bits + np.int64(context_shift[h]) - MULTIPLIER_BITS
            start = value_column + column
            _weighted_sum(weights, value[first : first + count, start : start + head_width], acc)
            _scale(acc, factor, shift, out[r, column : column + head_width])


@kernel
def _dot(a, b):
    total = np.int32(0)
    for d in range(len(a)):
        total = np.int32(total + np.int32(np.int32(a[d]) * np.int32(b[d])))
    return total


@kernel
def _softmax_weights(scores, multiplier, limit, shift):
    """Scores to weights (A4), in place; returns their sum."""
    largest = scores[0]
    for j in range(1, len(scores)):
        largest = max(largest, scores[j])
    factor, most, s = np.int32(multiplier), np.int32(limit), np.int32(shift)
    half = np.int32(np.int32(1) << np.int32(s - np.int32(1)))
    total = np.int32(0)
    for j in range(len(scores)):
        distance = min(np.int32(largest - scores[j]), most)
        z = np.int32(np.int32(np.int32(distance * factor) + half) >> s)
        weight = exp2_negative(z)
        scores[j] = weight
        total = np.int32(total + weight)
    return total


@kernel
def _weighted_sum(weights, value, acc):
    for d in range(len(acc)):
        acc[d] = np.int32(0)
    for j in range(len(weights)):
        w, row = weights[j], value[j]
        for d in range(len(acc)):
            acc[d] = np.int32(acc[d] + np.int32(w * np.int32(row[d])))


@kernel
def _scale(acc, multiplier, shift, out):
    half = np.int64(1) << (shift - np.int64(1))
    for d in range(len(acc)):
        scaled = (np.int64(acc[d]) * np.int64(np.int32(multiplier)) + half) >> shift
        out[d] = np.int8(min(max(scaled, np.int64(-127)), np.int64(127)))


AT = operands_at(meaning.AttentionSoftmax)
QUERY, KEY, VALUE, SENTENCE, KEY_OFFSETS = (
    AT[f] for f in ("query", "key", "value", "sentence", "key_offsets")
)
HEADS, HEAD_WIDTH, QUERY_COLUMN, KEY_COLUMN, VALUE_COLUMN = (
    AT[f] for f in ("heads", "head_width", "query_column", "key_column", "value_column")
)
SCORE_MULTIPLIER, SCORE_LIMIT, SCORE_SHIFT, CONTEXT_MULTIPLIER, CONTEXT_SHIFT, OUT = (
    AT[f]
    for f in (
        "score_multiplier",
        "score_limit",
        "score_shift",
        "context_multiplier",
        "context_shift",
        "out",
    )
)


@kernel
def step(frame, code):
    """Run an attention_softmax instruction."""
    heads, head_width = code[HEADS], code[HEAD_WIDTH]
    attention_softmax(
        matrix(frame, code, QUERY, np.int8),
        matrix(frame, code, KEY, np.int8),
        matrix(frame, code, VALUE, np.int8),
        column(frame, code, SENTENCE),
        column(frame, code, KEY_OFFSETS),
        heads,
        head_width,
        code[QUERY_COLUMN],
        code[KEY_COLUMN],
        code[VALUE_COLUMN],
        tensor1(code[SCORE_MULTIPLIER + ADDRESS], heads, np.int32),
        tensor1(code[SCORE_LIMIT + ADDRESS], heads, np.int32),
        code[SCORE_SHIFT],
        tensor1(code[CONTEXT_MULTIPLIER + ADDRESS], heads, np.int32),
        tensor1(code[CONTEXT_SHIFT + ADDRESS], heads, np.int8),
        matrix(frame, code, OUT, np.int8),
        scratch(frame, WORKSPACE + 4 * head_width),
    )
