"""The shared part of all attention: the keys that a row sees, and the mean of their values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from int8ref.abi.frame import ADDRESS, ITEM, WIDTH, operands_at
from int8ref.abi.scratch import SCORES_BYTES
from int8ref.kernels.attention_products import dot_products, fetch_rows, scale_sums, weighted_sum
from int8ref.kernels.ir.arithmetic import reciprocal
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address, int32_at
from int8ref.kernels.views import address_of, array, frame_at, rows_of, word
from int8ref.reference import attention as meaning

MULTIPLIER_BITS = np.int64(meaning.MULTIPLIER_BITS)

AT = operands_at(meaning.Attention)


class Shared(NamedTuple):
    """The operands of every attention.

    `query`, `key` and `value` are addresses of the first used column.  Their rows lie
    `query_pitch`, `key_pitch` and `value_pitch` bytes apart.  `sentence` is 0 for histories: a slot
    has room for `max_steps` steps, and a row sees its own step (`slots` and `steps`) and the steps
    before it, with a `window` other than 0 only the last ones.  Each `group` of heads of queries
    shares one head of keys and values.  `rows` is the number of rows of `out`, an address.
    `workspace` is the address of `abi.scratch.attention_bytes` bytes.
    """

    query: Any
    query_pitch: Any
    key: Any
    key_pitch: Any
    value: Any
    value_pitch: Any
    sentence: Any
    key_offsets: Any
    max_steps: Any
    slots: Any
    steps: Any
    window: Any
    heads: Any
    head_width: Any
    group: Any
    context_multiplier: Any
    context_shift: Any
    limit: Any
    rows: Any
    out: Any
    workspace: Any


@kernel
def shared(frame, code):
    """The operands that an instruction shares with every attention."""
    heads, head_width = word(code, AT.heads), word(code, AT.head_width)
    sentence = address_of(frame, code, AT.sentence)
    if word(code, AT.sentence + ITEM) == 0:
        sentence = 0
    return Shared(
        query=address_of(frame, code, AT.query) + word(code, AT.query_column),
        query_pitch=word(code, AT.query + WIDTH),
        key=address_of(frame, code, AT.key) + word(code, AT.key_column),
        key_pitch=word(code, AT.key + WIDTH),
        value=address_of(frame, code, AT.value) + word(code, AT.value_column),
        value_pitch=word(code, AT.value + WIDTH),
        sentence=sentence,
        key_offsets=address_of(frame, code, AT.key_offsets),
        max_steps=frame_at(frame).max_steps,
        slots=frame_at(frame).slots,
        steps=frame_at(frame).steps,
        window=word(code, AT.window),
        heads=heads,
        head_width=head_width,
        group=max(word(code, AT.group), 1),
        context_multiplier=array(word(code, AT.context_multiplier + ADDRESS), (heads,), np.int32),
        context_shift=array(word(code, AT.context_shift + ADDRESS), (heads,), np.int8),
        limit=word(code, AT.limit),
        rows=rows_of(frame, code, AT.out),
        out=address_of(frame, code, AT.out),
        workspace=frame_at(frame).workspace,
    )


@kernel
def seen(row, given):
    """(first, count) of the keys that a row sees."""
    if given.sentence == 0:
        steps = int32_at(given.steps, row) + 1
        hidden = max(steps - given.window, 0) if given.window != 0 else 0
        return int32_at(given.slots, row) * given.max_steps + hidden, steps - hidden
    b = int32_at(given.sentence, row)
    first = int32_at(given.key_offsets, b)
    return first, int32_at(given.key_offsets, b + 1) - first


@kernel
def owner(row, given):
    """The sentence or the slot to which the keys of a row belong."""
    if given.sentence == 0:
        return int32_at(given.slots, row)
    return int32_at(given.sentence, row)


@kernel
def end_of_owner(row, given):
    """The row behind the last of the next rows whose keys belong to the same owner."""
    stop = row + 1
    while stop < given.rows and owner(stop, given) == owner(row, given):
        stop += 1
    return stop


@kernel
def attend(weigh, operands, given):
    """Twin of `reference.attention.attend`; `given` is a `Shared`.

    Rows with the same keys follow each other.  Each head is computed for all of them, because its
    keys and values then stay in the first cache.

    weigh(scores, h, place, operands) turns the scores of head h into weights, in place, and returns
    their sum (`attention_scores`).  `place` is the place of the row among its keys.  The sum is at
    least 2^13, and context_shift at least 20, because `scale_sums` needs a shift of at least 33.
    """
    heads, head_width, group = given.heads, given.head_width, given.group
    key_pitch, value_pitch = given.key_pitch, given.value_pitch
    sums = given.workspace + SCORES_BYTES
    size = 1 if given.limit <= 127 else 2
    begin = 0
    while begin < given.rows:
        stop = end_of_owner(begin, given)
        following, more = seen(min(stop, given.rows - 1), given)
        fetched = more if stop < given.rows else 0
        for h in range(heads):
            c, g = h * head_width, h // group * head_width
            # Prefetch explicitly, because the CPU cannot predict the rows of another sentence.
            fetch_rows(given.key + following * key_pitch + g, key_pitch, fetched)
            fetch_rows(given.value + following * value_pitch + g, value_pitch, fetched)
            for r in range(begin, stop):
                first, count = seen(r, given)
                place = r - first if given.sentence != 0 else count - 1
                weights = array(given.workspace, (np.int64(count),), np.int32)
                at = address(weights, np.int32)
                query = given.query + r * given.query_pitch + c
                keys = given.key + first * key_pitch + g
                values = given.value + first * value_pitch + g
                dot_products(query, keys, key_pitch, count, head_width, at)
                inverse, bits = reciprocal(weigh(weights, h, place, operands))
                weighted_sum(at, values, value_pitch, count, head_width, sums)
                factor = (inverse * np.int64(given.context_multiplier[h])) >> MULTIPLIER_BITS
                shift = bits + np.int64(given.context_shift[h]) - MULTIPLIER_BITS
                mean = given.out + (r * heads * head_width + c) * size
                scale_sums(sums, head_width, factor, shift, given.limit, mean)
        begin = stop
