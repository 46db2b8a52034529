"""The likeliest tokens of each row of a beam, and their log-probabilities."""

from __future__ import annotations

import numpy as np

from int8ref.abi.hypotheses import BLOCK
from int8ref.kernels.gemm.epilogue import largest
from int8ref.kernels.ir.arithmetic import soft_cap
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.ir.lowering import address
from int8ref.kernels.log_softmax import cap_logits, log_probability, normalizer
from int8ref.kernels.views import array
from int8ref.machine.loop.hypotheses import choices_of, search_of
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, sentence_of
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    candidate_logits,
    candidates,
    head_logits,
    head_width,
)

LOWEST = np.int64(-(2**31) - 1)


@kernel
def _insert(chosen, token, logit):
    """Replace the last choice by a larger logit, and move it up behind equal or larger ones."""
    at = chosen.shape[0] - 1
    while at > 0 and logit > chosen[at - 1].gain:
        chosen[at].token, chosen[at].gain = chosen[at - 1].token, chosen[at - 1].gain
        at -= 1
    chosen[at].token, chosen[at].gain = token, logit


@kernel
def _clear(chosen):
    for c in range(chosen.shape[0]):
        chosen[c].token, chosen[c].gain = -1, LOWEST


@kernel
def likeliest(row, maxima, chosen):
    """The largest logits of a row with their tokens; of equal logits, the lower token comes first.

    If the row has fewer logits than choices, the token of the other choices is -1.

    `maxima` is scratch, one number for each block.  Let n be the number of choices.  The first loop
    finds the n blocks with the largest maxima, and `least` is the smallest of these maxima.  At
    least n logits are not smaller than `least`.  Therefore a block with a smaller maximum has no
    chosen token, and the second loop skips it.
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
        if maxima[b] > chosen[last].gain:
            _insert(chosen, b, maxima[b])
    least = chosen[last].gain
    _clear(chosen)
    for b in range(len(maxima)):
        if maxima[b] >= least and maxima[b] > chosen[last].gain:
            for n in range(b * BLOCK, min((b + 1) * BLOCK, width)):
                logit = np.int64(row[n])
                if logit > chosen[last].gain:
                    _insert(chosen, n, logit)


@part
def _weigh(call: int, logits: int, width: int, row: int) -> None:
    """Choose the likeliest logits of a row, and compute their log-probabilities."""
    multiplier, shift = call_at(call).multiplier, call_at(call).shift
    values, chosen = array(logits, (width,), np.int32), choices_of(call, row)
    maxima = array(search_of(call).maxima, ((width + BLOCK - 1) // BLOCK,), np.int64)
    likeliest(values, maxima, chosen)
    if call_at(call).cap_shift != 0:
        _cap(call, values, chosen)
    top = chosen[0].gain
    norm = normalizer(values, top, multiplier, shift)
    for c in range(min(len(chosen), width)):
        chosen[c].gain = log_probability(chosen[c].gain, top, norm, multiplier, shift)


@kernel
def _cap(call, row, chosen):
    """Cap the logits of a row, and of its choices, which stay in the order of the logits."""
    multiplier, shift = call_at(call).cap_multiplier, call_at(call).cap_shift
    cap_logits(row, multiplier, shift)
    for c in range(min(len(chosen), len(row))):
        chosen[c].gain = soft_cap(chosen[c].gain, multiplier, shift)


@part
def choose(frame: int, call: int, rows: int) -> None:
    """Choose the likeliest tokens of every row, with their log-probabilities."""
    if call_at(call).candidates != 0:
        sentence = sentence_of(frame, call)
        for r in range(rows):
            tokens = candidates(call, sentence[r])
            logits = candidate_logits(frame, call, r)
            _weigh(call, address(logits, np.int32), len(logits), r)
            chosen = choices_of(call, r)
            for c in range(min(len(chosen), len(tokens))):
                chosen[c].token = tokens[chosen[c].token]
        return
    width = head_width(call)
    for first in range(0, rows, HEAD_ROWS):
        here = min(HEAD_ROWS, rows - first)
        logits = head_logits(frame, call, first, here)
        for r in range(here):
            _weigh(call, logits + r * width * 4, width, first + r)
