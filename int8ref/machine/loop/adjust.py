"""The adjustments of the logits of a row in native code: the twin of `search.logits`."""

from __future__ import annotations

import numpy as np

from int8ref.abi.adjustments import ADJUSTMENT, REMOVED, SEEN, STAGE, TIMES
from int8ref.kernels.ir.arithmetic import soft_cap
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, record_at
from int8ref.machine.loop.hypotheses import nodes_of
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, table, vector
from int8ref.machine.loop.steps import head_width
from int8ref.spec.adjusting import NO_PENALTY
from int8ref.spec.arithmetic import INT32_MAX

SEEN_MARK, REMOVED_MARK, TIMES_MASK = np.int32(SEEN), np.int32(REMOVED), np.int32(TIMES)
LARGEST, SMALLEST = np.int64(INT32_MAX), np.int64(-INT32_MAX - 1)
NEUTRAL_REPETITION = np.int64(NO_PENALTY)
RECORD_BYTES = ADJUSTMENT.itemsize
HUNDRED, TWO_HUNDRED = np.int64(100), np.int64(200)
REMOVES, BY_TOKEN = 1, 2

_adjustment_at = record_at(ADJUSTMENT)
_stage_at = record_at(STAGE)


@kernel
def adjustment_of(call, index):
    """The adjustments of a sentence."""
    return _adjustment_at(call_at(call).adjustments + np.int64(index) * RECORD_BYTES)


@kernel
def stage_of(call):
    """The memory of the stage."""
    return _stage_at(call_at(call).stage)


@kernel
def adjusts(call, index):
    """Whether a sentence has adjustments."""
    found = False
    if call_at(call).adjustments != 0:
        found = adjustment_of(call, index).active != 0
    return found


@kernel
def kept_tokens(call, count):
    """The tokens that may be chosen: int32 [count]."""
    return vector(stage_of(call).tokens, count)


@kernel
def kept_logits(call, count):
    """Their logits: int32 [count]."""
    return vector(stage_of(call).logits, count)


@part
def recall(call: int, index: int, chosen: int) -> int:
    """Put the prefix of a sentence and its `chosen` tokens in `out` into the history.  Returns
    their number."""
    c = call_at(call)
    length: int = _recall_prefix(call, index)
    history = vector(stage_of(call).history, length + chosen)
    out = table(call, c.out, index + 1)
    for i in range(chosen):
        history[length + i] = out[index, i]
    return length + chosen


@part
def recall_nodes(call: int, index: int, node: int, chosen: int) -> int:
    """As `recall`, for the tokens that end with a node of a beam search."""
    length: int = _recall_prefix(call, index)
    history = vector(stage_of(call).history, length + chosen)
    at = length + chosen - 1
    while node >= 0:
        found = nodes_of(call, node + 1)[node]
        history[at] = np.int32(found.token)
        node = found.parent
        at -= 1
    return length + chosen


@part
def _recall_prefix(call: int, index: int) -> int:
    c = call_at(call)
    length: int = vector(c.given_lengths, index + 1)[index]
    history, given = vector(stage_of(call).history, length), table(call, c.given, index + 1)
    for i in range(length):
        history[i] = given[index, i]
    return length


@part
def adjust(
    call: int, index: int, logits: int, width: int, tokens: int, length: int, chosen: int
) -> int:
    """Write the tokens that may be chosen, and their logits.  Returns their number.

    logits  address of int32 [width]
    tokens  address of the tokens of the logits, int32 [width]; 0: all tokens
    length  number of tokens in the history
    chosen  number of the last of them that were chosen
    """
    adjusted = adjustment_of(call, index)
    first, count = np.int64(0), width
    tree = adjusted.firsts != 0
    if tree:
        first, count = _allowed(call, index, length, chosen)
        tokens = adjusted.tokens + 4 * first
    _mark(call, index, length, chosen)
    how = BY_TOKEN if tree or tokens == 0 else 0
    kept: int = _keep(call, index, logits, tokens, how | REMOVES, count)
    if kept == 0:
        kept = _keep(call, index, logits, tokens, how, count)
    _unmark(call, length)
    return kept


@kernel
def _allowed(call, index, length, chosen):
    """(first edge, number of edges) of the node after the chosen tokens."""
    adjusted, history = adjustment_of(call, index), vector(stage_of(call).history, length)
    node = np.int64(0)
    first, stop = np.int64(0), np.int64(0)
    for i in range(chosen + 1):
        if node >= 0:
            first = np.int64(vector(adjusted.firsts, node + 1)[node])
            stop = np.int64(vector(adjusted.firsts, node + 2)[node + 1])
        else:
            stop = first
        if i < chosen:
            token, node = history[length - chosen + i], np.int64(-1)
            for edge in range(first, stop):
                if vector(adjusted.tokens, edge + 1)[edge] == token:
                    node = np.int64(vector(adjusted.nodes, edge + 1)[edge])
    return first, stop - first


@kernel
def _mark(call, index, length, chosen):
    """Mark the tokens of the history, and the tokens that are removed by what was chosen."""
    adjusted, c = adjustment_of(call, index), call_at(call)
    history = vector(stage_of(call).history, length)
    marks = vector(stage_of(call).marks, head_width(call))
    for i in range(length):
        marks[history[i]] |= SEEN_MARK
        if i >= length - chosen:
            marks[history[i]] += np.int32(1)
    if chosen < adjusted.min_length:
        for end in vector(c.ends, c.end_count):
            marks[end] |= REMOVED_MARK
    size = adjusted.no_repeat
    last = length - size + 1
    for i in range(last if size > 0 else 0):
        same = True
        for j in range(size - 1):
            same = same and history[i + j] == history[last + j]
        if same:
            marks[history[i + size - 1]] |= REMOVED_MARK


@kernel
def _unmark(call, length):
    """Clear the marks."""
    c = call_at(call)
    history = vector(stage_of(call).history, length)
    marks = vector(stage_of(call).marks, head_width(call))
    for i in range(length):
        marks[history[i]] = np.int32(0)
    for end in vector(c.ends, c.end_count):
        marks[end] = np.int32(0)


@part
def _keep(call: int, index: int, logits: int, tokens: int, how: int, count: int) -> int:
    """Write the tokens that are kept, with their adjusted logits.

    how     REMOVES: marked and suppressed tokens are removed
            BY_TOKEN: a logit is at the place of its token, not at the place in `tokens`
    tokens  address of int32 [count]; 0: all tokens
    """
    c, adjusted = call_at(call), adjustment_of(call, index)
    width = head_width(call)
    out_tokens, out_logits = kept_tokens(call, width), kept_logits(call, width)
    marks, suppressed = vector(stage_of(call).marks, width), adjusted.suppressed
    kept = 0
    for i in range(count):
        token = np.int64(i)
        if tokens != 0:
            token = np.int64(vector(tokens, count)[i])
        mark = marks[token]
        removed = (mark & REMOVED_MARK) != 0
        if suppressed != 0:
            removed = removed or array(suppressed, (np.int64(width),), np.int8)[token] != 0
        if (how & REMOVES) == 0 or not removed:
            place = token if (how & BY_TOKEN) != 0 else np.int64(i)
            x = np.int64(vector(logits, place + 1)[place])
            if c.cap_shift != 0:
                x = np.int64(soft_cap(x, c.cap_multiplier, c.cap_shift))
            out_tokens[kept] = np.int32(token)
            out_logits[kept] = np.int32(_adjusted(adjusted, x, token, mark, width))
            kept += 1
    return kept


@kernel
def _adjusted(adjusted, x, token, mark, width):
    """The adjusted logit of a token with a mark."""
    penalty = adjusted.repetition
    if (mark & SEEN_MARK) != 0 and penalty != NEUTRAL_REPETITION:
        if x > 0:
            x = (TWO_HUNDRED * x + penalty) // (penalty + penalty)
        else:
            x = ((x + x) * penalty + HUNDRED) // TWO_HUNDRED
    times = np.int64(mark & TIMES_MASK)
    if times > 0:
        x -= adjusted.presence + times * adjusted.frequency
    if adjusted.bias != 0:
        x += np.int64(vector(adjusted.bias, width)[token])
    return min(max(x, SMALLEST), LARGEST)
