"""What all kinds of attention share: whose keys a row sees, and the mean of their values."""

from __future__ import annotations

import numpy as np

from int8ref.abi.frame import ADDRESS, HISTORY, MAX_STEPS, ROWS, WIDTH, operands_at
from int8ref.abi.frame import ITEM as SIZE
from int8ref.abi.frame import WORKSPACE as FRAME_WORKSPACE
from int8ref.kernels.attention_products import dot_products, fetch_rows, scale_sums, weighted_sum
from int8ref.kernels.ir.arithmetic import reciprocal
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address, int32_at
from int8ref.kernels.views import address_of, array, rows_of, word
from int8ref.reference import attention as meaning

MULTIPLIER_BITS = np.int64(meaning.MULTIPLIER_BITS)
WORKSPACE = 4 * meaning.MAX_KEYS
"""Bytes of workspace: the scores, then the weights, of one row and head; the sums lie behind."""

AT = operands_at(meaning.Attention)
QUERY, KEY, VALUE, SENTENCE, KEY_OFFSETS, OUT = (
    AT[f] for f in ("query", "key", "value", "sentence", "key_offsets", "out")
)
HEADS, HEAD_WIDTH, QUERY_COLUMN, KEY_COLUMN, VALUE_COLUMN = (
    AT[f] for f in ("heads", "head_width", "query_column", "key_column", "value_column")
)
CONTEXT_MULTIPLIER, CONTEXT_SHIFT, LIMIT, GROUP = (
    AT[f] for f in ("context_multiplier", "context_shift", "limit", "group")
)


@kernel
def seen(row, sentence, key_offsets, max_steps, steps):
    """(first, count) of the keys that a row sees."""
    if sentence == 0:
        return row * max_steps, steps
    b = int32_at(sentence, row)
    first = int32_at(key_offsets, b)
    return first, int32_at(key_offsets, b + 1) - first


@kernel
def attend(
    weigh,
    operands,
    query,
    query_pitch,
    key,
    key_pitch,
    value,
    value_pitch,
    sentence,
    key_offsets,
    max_steps,
    steps,
    heads,
    head_width,
    context_multiplier,
    context_shift,
    limit,
    group,
    rows,
    out,
    workspace,
):
    """Twin of `reference.attention.attend`, over addresses; `sentence` is 0 for histories.

    `group` heads of queries share a head of keys and values.
    weigh(scores, h, operands) turns the scores of head h into weights, in place, and returns their
    sum (`attention_scores`).  Rows lie `query_pitch` apart, and so on; the addresses are those of
    the first column used.  `workspace`: uint8 [WORKSPACE + 4 * head_width].  The sum of the weights
    is at least 2^13, and context_shift 20, as `scale_sums` demands.
    """
    scores = workspace[:WORKSPACE].view(np.int32)
    sums = address(workspace, np.uint8) + WORKSPACE
    size = 1 if limit <= 127 else 2
    following, more = seen(0, sentence, key_offsets, max_steps, steps)
    for r in range(rows):
        first, count = following, more
        if r + 1 < rows:
            following, more = seen(r + 1, sentence, key_offsets, max_steps, steps)
        fetched = more if following != first else 0
        weights = scores[:count]
        at = address(weights, np.int32)
        queries, keys = query + r * query_pitch, key + first * key_pitch
        values = value + first * value_pitch
        for h in range(heads):
            c, shared = h * head_width, h // group * head_width
            # Another sentence's keys and values are not foreseen by the CPU itself.
            fetch_rows(key + following * key_pitch + shared, key_pitch, fetched)
            fetch_rows(value + following * value_pitch + shared, value_pitch, fetched)
            dot_products(queries + c, keys + shared, key_pitch, count, head_width, at)
            inverse, bits = reciprocal(weigh(weights, h, operands))
            weighted_sum(at, values + shared, value_pitch, count, head_width, sums)
            factor = (inverse * np.int64(context_multiplier[h])) >> MULTIPLIER_BITS
            shift = bits + np.int64(context_shift[h]) - MULTIPLIER_BITS
            mean = out + (r * heads * head_width + c) * size
            scale_sums(sums, head_width, factor, shift, limit, mean)


@kernel
def attend_arrays(
    weigh,
    operands,
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
    group,
    out,
    workspace,
):
    """`attend` with the operands of the reference."""
    attend(
        weigh,
        operands,
        address(query, np.int8) + query_column,
        query.shape[1],
        address(key, np.int8) + key_column,
        key.shape[-1],
        address(value, np.int8) + value_column,
        value.shape[-1],
        address(sentence, np.int32),
        address(key_offsets, np.int32),
        key.shape[1],
        key.shape[1],
        heads,
        head_width,
        context_multiplier,
        context_shift,
        limit,
        1 if group is None else group,
        out.shape[0],
        out.ctypes.data,
        workspace,
    )


@kernel
def attend_code(frame, code, weigh, operands):
    """`attend` with the operands of an instruction."""
    heads, head_width = word(code, HEADS), word(code, HEAD_WIDTH)
    sentence = address_of(frame, code, SENTENCE) if word(code, SENTENCE + SIZE) != 0 else 0
    attend(
        weigh,
        operands,
        address_of(frame, code, QUERY) + word(code, QUERY_COLUMN),
        word(code, QUERY + WIDTH),
        address_of(frame, code, KEY) + word(code, KEY_COLUMN),
        word(code, KEY + WIDTH),
        address_of(frame, code, VALUE) + word(code, VALUE_COLUMN),
        word(code, VALUE + WIDTH),
        sentence,
        address_of(frame, code, KEY_OFFSETS),
        word(frame, MAX_STEPS),
        word(frame, HISTORY + ROWS),
        heads,
        head_width,
        array(word(code, CONTEXT_MULTIPLIER + ADDRESS), (heads,), np.int32),
        array(word(code, CONTEXT_SHIFT + ADDRESS), (heads,), np.int8),
        word(code, LIMIT),
        max(word(code, GROUP), 1),
        rows_of(frame, code, OUT),
        address_of(frame, code, OUT),
        array(word(frame, FRAME_WORKSPACE), (WORKSPACE + 4 * head_width,), np.uint8),
    )
