"""The likeliest tokens of each row of a beam, and their log-probabilities."""

from __future__ import annotations

import numpy as np

from int8ref.abi.call import CANDIDATES, HYPOTHESES, MULTIPLIER, SHIFT
from int8ref.kernels.gemm.epilogue import largest
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.log_softmax import log_probability, normalizer
from int8ref.kernels.views import array, word
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import target_input
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    candidate_logits,
    candidates,
    head_logits,
    head_width,
)
from int8ref.machine.memory.hypotheses import BLOCK, CHOICE_COUNT, CHOICES, GAIN, MAXIMA, TOKEN

LOWEST = np.int64(-(2**31) - 1)


@kernel
def search_array(call, name, shape):
    """An array of `hypotheses`."""
    return array(word(word(call, HYPOTHESES), name), shape, np.int64)


@kernel
def _insert(chosen, token, logit):
    """Put a logit that is larger than the last one where it belongs, behind equal ones."""
    at = chosen.shape[0] - 1
    while at > 0 and logit > chosen[at - 1, GAIN]:
        chosen[at, TOKEN], chosen[at, GAIN] = chosen[at - 1, TOKEN], chosen[at - 1, GAIN]
        at -= 1
    chosen[at, TOKEN], chosen[at, GAIN] = token, logit


@kernel
def _clear(chosen):
    for c in range(chosen.shape[0]):
        chosen[c, TOKEN], chosen[c, GAIN] = -1, LOWEST


@kernel
def likeliest(row, maxima, chosen):
    """The largest logits of a row with their tokens, the lower of equal ones first; the token is -1
    where there are no more.

    `maxima`: scratch, one a block.  As many blocks as tokens are chosen have a maximum of at least
    the least of those that are then the largest; so no block with a smaller one has a token that
    is chosen, and most blocks are not looked into.
    """
    last = chosen.shape[0] - 1
    width = row.shape[0]
    logits = address(row, np.int32)
    _clear(chosen)
    for b in range(len(maxima)):
        start = b * BLOCK
        if start + BLOCK <= width:
            maxima[b] = largest(logits + 4 * start, BLOCK)
        else:
            maxima[b] = largest(logits + 4 * start, width - start)
        if maxima[b] > chosen[last, GAIN]:
            _insert(chosen, b, maxima[b])
    least = chosen[last, GAIN]
    _clear(chosen)
    for b in range(len(maxima)):
        if maxima[b] >= least and maxima[b] > chosen[last, GAIN]:
            for n in range(b * BLOCK, min((b + 1) * BLOCK, width)):
                logit = np.int64(row[n])
                if logit > chosen[last, GAIN]:
                    _insert(chosen, n, logit)


@part
def _weigh(call: int, logits: int, width: int, choices: int) -> None:
    """The likeliest of the logits of a row, with their log-probabilities."""
    multiplier, shift = word(call, MULTIPLIER), word(call, SHIFT)
    row = array(logits, (width,), np.int32)
    chosen = array(choices, (word(word(call, HYPOTHESES), CHOICE_COUNT), 2), np.int64)
    likeliest(row, search_array(call, MAXIMA, ((width + BLOCK - 1) // BLOCK,)), chosen)
    top = chosen[0, GAIN]
    norm = normalizer(row, top, multiplier, shift)
    for c in range(min(len(chosen), width)):
        chosen[c, GAIN] = log_probability(chosen[c, GAIN], top, norm, multiplier, shift)


@part
def choose(frame: int, call: int, rows: int) -> None:
    """The likeliest tokens of every row and their log-probabilities."""
    count = word(word(call, HYPOTHESES), CHOICE_COUNT)
    choices = search_array(call, CHOICES, (rows, count, 2))
    if word(call, CANDIDATES) != 0:
        sentence = target_input(frame, call, 2)
        for r in range(rows):
            tokens = candidates(call, sentence[r])
            logits = candidate_logits(frame, call, r)
            _weigh(call, address(logits, np.int32), len(logits), address(choices[r], np.int64))
            for c in range(min(count, len(tokens))):
                choices[r, c, TOKEN] = tokens[choices[r, c, TOKEN]]
        return
    width = head_width(call)
    for first in range(0, rows, HEAD_ROWS):
        here = min(HEAD_ROWS, rows - first)
        logits = array(head_logits(frame, call, first, here), (here, width), np.int32)
        for r in range(here):
            found = choices[first + r]
            _weigh(call, address(logits[r], np.int32), width, address(found, np.int64))
