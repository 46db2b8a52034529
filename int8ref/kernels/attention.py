"""The shared part of all attention: the keys that a row sees, and the mean of their values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from int8ref.abi.frame import ADDRESS, HISTORY_PITCH, ITEM, VALUE_PITCH, WIDTH, operands_at
from int8ref.abi.scratch import SCORES_BYTES
from int8ref.kernels.attention_products import (
    add_weighted,
    clear_sums,
    dot_products,
    fetch_rows,
    scale_sums,
)
from int8ref.kernels.histories import Rows, row_at, rows_left
from int8ref.kernels.ir.arithmetic import (
    bit_length,
    exp2_factor,
    reciprocal,
    rounding_shift_right,
)
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import int32_at
from int8ref.kernels.views import address_of, array, frame_at, rows_of, word
from int8ref.reference import attention as meaning
from int8ref.spec.arithmetic import FACTOR_MAX_INPUT

MULTIPLIER_BITS = np.int64(meaning.MULTIPLIER_BITS)
SUM_BITS = np.int64(meaning.SUM_BITS)
BLOCK_KEYS = np.int64(meaning.BLOCK_KEYS)
FARTHEST = np.int64(FACTOR_MAX_INPUT)
ONE_PAGE = np.int64(1 << 62)

AT = operands_at(meaning.Attention)


class Shared(NamedTuple):
    """The operands of every attention.

    `query` is the address of the first used column; its rows lie `query_pitch` bytes apart.  `keys`
    and `values` are rows, used from `key_column` and `value_column` on.  `sentence` is 0 for
    histories: a slot has room for `max_steps` steps, and a row sees its own step (`slots` and
    `steps`) and the steps before it, with a `window` other than 0 only the last ones.  Each `group`
    of heads of queries shares one head of keys and values.  `rows` is the number of rows of `out`,
    an address.  `workspace` is the address of `abi.scratch.attention_bytes` bytes.
    """

    query: Any
    query_pitch: Any
    keys: Any
    key_column: Any
    values: Any
    value_column: Any
    sentence: Any
    key_offsets: Any
    max_steps: Any
    slots: Any
    steps: Any
    window: Any
    heads: Any
    first_group: Any
    last_group: Any
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
    share, shares = frame_at(frame).share, frame_at(frame).shares
    groups = heads // max(word(code, AT.group), 1)
    sentence = address_of(frame, code, AT.sentence)
    page = ONE_PAGE
    if word(code, AT.sentence + ITEM) == 0:
        sentence = 0
        page = frame_at(frame).page_steps
    key, value = address_of(frame, code, AT.key), address_of(frame, code, AT.value)
    return Shared(
        query=address_of(frame, code, AT.query) + word(code, AT.query_column),
        query_pitch=word(code, AT.query + WIDTH),
        keys=Rows(key, word(code, AT.key + WIDTH), word(code, HISTORY_PITCH), page),
        key_column=word(code, AT.key_column),
        values=Rows(value, word(code, AT.value + WIDTH), word(code, VALUE_PITCH), page),
        value_column=word(code, AT.value_column),
        sentence=sentence,
        key_offsets=address_of(frame, code, AT.key_offsets),
        max_steps=frame_at(frame).max_steps,
        slots=frame_at(frame).slots,
        steps=frame_at(frame).steps,
        window=word(code, AT.window),
        heads=heads,
        first_group=share * groups // shares,
        last_group=(share + 1) * groups // shares,
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
def attend(weigh, far, operands, given):
    """Twin of `reference.attention.attend`; `given` is a `Shared`.

    Rows with the same keys follow each other.  Each head of keys is used for all of them, because
    its keys and values then stay in a near cache.

    weigh(scores, h, place, operands) turns the scores of head h for a block of keys into weights,
    in place.  It returns their sum, and a level of the block, from which far(distance, h, operands)
    computes how far one block is below another.  `place` is the place of the row among the keys,
    counted from the first key of the block.  The sum is at least 2^13, and context_shift at least
    20, because `scale_sums` needs a shift of at least 33.
    """
    begin = 0
    while begin < given.rows:
        stop = end_of_owner(begin, given)
        following, more = seen(min(stop, given.rows - 1), given)
        fetched = min(more, BLOCK_KEYS) if stop < given.rows else 0
        for g in range(given.first_group, given.last_group):
            # Prefetch explicitly, because the CPU cannot predict the rows of another sentence.
            keys, values = columns_of(g, given)
            fetch_rows(row_at(given.keys, following, keys), given.keys.pitch, fetched)
            fetch_rows(row_at(given.values, following, values), given.values.pitch, fetched)
            for r in range(begin, stop):
                attend_group(weigh, far, operands, given, r, g)
        begin = stop


@kernel
def columns_of(g, given):
    """The first column of a head of keys, and of the same head of values."""
    return given.key_column + g * given.head_width, given.value_column + g * given.head_width


@kernel
def attend_group(weigh, far, operands, given, r, g):
    """The results of row r for the heads that share head g of keys.

    Every block of keys is read once, for all of these heads.
    """
    first, count = seen(r, given)
    place = r - first if given.sentence != 0 else count - 1
    blocks = (count + BLOCK_KEYS - 1) // BLOCK_KEYS
    heads, width = given.group, given.head_width
    levels = given.workspace + SCORES_BYTES
    totals = levels + 8 * heads * blocks
    sums = totals + 8 * heads * blocks
    for b in range(blocks):
        start = b * BLOCK_KEYS
        size = min(BLOCK_KEYS, count - start)
        weights = array(given.workspace, (np.int64(size),), np.int32)
        for n in range(heads):
            h, at = g * heads + n, n * blocks + b
            query = given.query + r * given.query_pitch + h * width
            score_block(query, first + start, size, g, given)
            total, level = weigh(weights, h, place - start, operands)
            array(totals, (at + 1,), np.int64)[at] = total
            array(levels, (at + 1,), np.int64)[at] = level
            mix_block(sums + 4 * at * width, first + start, size, g, given)
    item = 1 if given.limit <= 127 else 2
    for n in range(heads):
        h, at = g * heads + n, n * blocks
        own = sums + 4 * at * width
        total = array(totals, (at + 1,), np.int64)[at]
        if blocks > 1:
            level = array(levels + 8 * at, (blocks,), np.int64)
            parts = array(totals + 8 * at, (blocks,), np.int64)
            total = join_blocks(
                far, operands, h, level, parts, array(own, (blocks, width), np.int32)
            )
        inverse, bits = reciprocal(total)
        factor = (inverse * np.int64(given.context_multiplier[h])) >> MULTIPLIER_BITS
        shift = bits + np.int64(given.context_shift[h]) - MULTIPLIER_BITS
        mean = given.out + (r * given.heads + h) * width * item
        scale_sums(own, width, factor, shift, given.limit, mean)


@kernel
def score_block(query, first, count, g, given):
    """Write the scores of `count` keys from row `first` on to the workspace, page by page."""
    column, _ = columns_of(g, given)
    done = 0
    while done < count:
        size = min(rows_left(given.keys, first + done), count - done)
        keys, scores = row_at(given.keys, first + done, column), given.workspace + 4 * done
        dot_products(query, keys, given.keys.pitch, size, given.head_width, scores)
        done += size


@kernel
def mix_block(sums, first, count, g, given):
    """Write the sums of `count` values from row `first` on, times their weights in the
    workspace."""
    _, column = columns_of(g, given)
    clear_sums(sums, given.head_width)
    done = 0
    while done < count:
        size = min(rows_left(given.values, first + done), count - done)
        values, weights = row_at(given.values, first + done, column), given.workspace + 4 * done
        add_weighted(weights, values, given.values.pitch, size, given.head_width, sums)
        done += size


@kernel
def join_blocks(far, operands, h, levels, totals, sums):
    """Twin of `reference.attention.joined`: returns the joined sum of the weights.

    The joined sums of values replace the sums of the first block.  The levels become the factors of
    the blocks.
    """
    top = levels[0]
    for b in range(len(levels)):
        top = max(top, levels[b])
    whole = np.int64(0)
    for b in range(len(levels)):
        levels[b] = exp2_factor(min(far(top - levels[b], h, operands), FARTHEST))
        whole += levels[b] * totals[b]
    drop = bit_length(whole - np.int64(1)) - SUM_BITS
    for d in range(sums.shape[1]):
        acc = np.int64(0)
        for b in range(len(levels)):
            acc += levels[b] * np.int64(sums[b, d])
        sums[0, d] = np.int32(rounding_shift_right(acc, drop))
    return rounding_shift_right(whole, drop)
