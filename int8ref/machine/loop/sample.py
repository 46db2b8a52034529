"""Sampling in native code."""

from __future__ import annotations

import numpy as np

from int8ref.kernels.ir.arithmetic import exp2_precise, rounding_shift_right
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.log_softmax import FARTHEST, cap_logits, largest
from int8ref.kernels.views import array
from int8ref.machine.loop.adjust import adjust, adjusts, kept_logits, kept_tokens, recall
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import (
    call_at,
    ids_of,
    sentence_of,
    table,
    vector,
)
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    chosen_count,
    head_logits,
    head_width,
    sentences_of,
)
from int8ref.machine.loop.texts import advance_texts, follow, open_texts, waits
from int8ref.search import sampling as meaning
from int8ref.spec import limits

ALL = np.int64(limits.ALL)
LOW_BITS = np.int64(meaning.LOW_BITS)
LOW = (np.int64(1) << LOW_BITS) - np.int64(1)
BITS = np.int64(meaning.RANDOM_BITS)
WEIGHT_BITS = np.int64(32)
"""The largest weight is 2^32: the weight of the largest logit."""


@part
def sample(frame: int, call: int) -> None:
    """Twin of `search.sample`: encode, then run steps until every text is finished."""
    sentences: int = sentences_of(frame)
    live = open_texts(frame, call)
    random = table(call, call_at(call).random, sentences)
    ids, sentence = ids_of(frame, call), sentence_of(frame, call)
    width = head_width(call)
    while live > 0 or waits(frame, call):
        live = advance_texts(frame, call, live)
        for first in range(0, live, HEAD_ROWS):
            count = min(HEAD_ROWS, live - first)
            logits = array(head_logits(frame, call, first, count), (count, width), np.int32)
            for r in range(count):
                index, at = sentence[first + r], chosen_count(frame, call, first + r)
                if at >= 0:
                    row = address(logits[r], np.int32)
                    token: int = _draw_token(call, index, at, row, random[index, at])
                    ids[first + r] = np.int32(token)
        live = follow(frame, call, live)


@part
def _draw_token(call: int, index: int, chosen: int, logits: int, number: int) -> int:
    """Draw a token of a sentence, of which `chosen` tokens were drawn.

    `logits`: address of the row, of all tokens.
    """
    width: int = head_width(call)
    if adjusts(call, index):
        length: int = recall(call, index, chosen)
        kept: int = adjust(call, index, logits, width, 0, length, chosen)
        token: int = kept_tokens(call, kept)[_draw(call, kept_logits(call, kept), number)]
    else:
        row = vector(logits, width)
        cap_logits(row, call_at(call).cap_multiplier, call_at(call).cap_shift)
        token = _draw(call, row, number)
    return token


@kernel
def _draw(call, row, number):
    """Draw a place of a row of logits with a random number."""
    top, multiplier, shift = largest(row), call_at(call).multiplier, call_at(call).shift
    weights = array(call_at(call).weights, (len(row),), np.int64)
    least = kth_largest(row, top, call_at(call).top_k)
    for n in range(len(row)):
        product = (np.int64(top) - np.int64(row[n])) * multiplier
        weight = exp2_precise(min(rounding_shift_right(product, shift), FARTHEST))
        weights[n] = weight if np.int64(row[n]) >= least else np.int64(0)
    least = max(threshold(weights, call_at(call).top_p), least_share(call_at(call).min_p))
    total = sum_from(weights, least)
    bound = (np.int64(number) * (total >> LOW_BITS)) >> (BITS - LOW_BITS)
    bound += (np.int64(number) * (total & LOW)) >> BITS
    reached, token = np.int64(0), 0
    for n in range(len(weights)):
        reached += weights[n] if weights[n] >= least else np.int64(0)
        if reached > bound:
            token = n
            break
    return token


@kernel
def kth_largest(row, top, k):
    """The k-th largest logit, found bit by bit; for k = 0 the smallest possible logit."""
    low, high = np.int64(-(2**31)), np.int64(top)
    while low < high and k > 0:
        middle = (low + high + np.int64(1)) >> np.int64(1)
        count = 0
        for n in range(len(row)):
            count += 1 if np.int64(row[n]) >= middle else 0
        if count >= k:
            low = middle
        else:
            high = middle - np.int64(1)
    return low


@kernel
def threshold(weights, share):
    """The largest v such that the weights >= v have the share of the total, in hundredths."""
    low, high = np.int64(0), np.int64(2**32)
    wanted = sum_from(weights, low) * share
    while low < high and share < ALL:
        middle = (low + high + np.int64(1)) >> np.int64(1)
        if sum_from(weights, middle) * ALL >= wanted:
            low = middle
        else:
            high = middle - np.int64(1)
    return low


@kernel
def least_share(share):
    """The smallest weight that has a share of the largest weight, 2^32, in hundredths."""
    return ((np.int64(share) << WEIGHT_BITS) + ALL - np.int64(1)) // ALL


@kernel
def sum_from(weights, least):
    """The sum of the weights that are at least `least`."""
    total = np.int64(0)
    for n in range(len(weights)):
        total += weights[n] if weights[n] >= least else np.int64(0)
    return total
