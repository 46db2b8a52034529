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
from int8ref.machine.loop.adjust import (
    adjust,
    adjusts,
    kept_logits,
    kept_tokens,
    recall_nodes,
    stage_of,
)
from int8ref.machine.loop.hypotheses import choices_of, counts_of, live_of, search_of
from int8ref.machine.loop.part import part
from int8ref.machine.loop.rows import call_at, sentence_of, vector
from int8ref.machine.loop.steps import (
    HEAD_ROWS,
    candidate_logits,
    candidates,
    chosen_count,
    head_logits,
    head_width,
    sentences_of,
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
def _weigh(call: int, logits: int, width: int, row: int, capped: int) -> None:
    """Choose the likeliest logits of a row, and compute their log-probabilities.

    `capped`: 1 if the logits are capped already.
    """
    multiplier, shift = call_at(call).multiplier, call_at(call).shift
    values, chosen = array(logits, (width,), np.int32), choices_of(call, row)
    maxima = array(search_of(call).maxima, ((width + BLOCK - 1) // BLOCK,), np.int64)
    likeliest(values, maxima, chosen)
    if call_at(call).cap_shift != 0 and capped == 0:
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
def _weigh_row(frame: int, call: int, row: int, logits: int, width: int, tokens: int) -> None:
    """Choose the likeliest tokens of a row.  `tokens`: see `loop.adjust.adjust`."""
    index: int = sentence_of(frame, call)[row]
    at: int = chosen_count(frame, call, row)
    if at >= 0 and adjusts(call, index):
        node = array(stage_of(call).row_nodes, (np.int64(row + 1),), np.int64)[row]
        length: int = recall_nodes(call, index, node, at)
        kept: int = adjust(call, index, logits, width, tokens, length, at)
        _weigh(call, address(kept_logits(call, kept), np.int32), kept, row, 1)
        _name(call, row, address(kept_tokens(call, kept), np.int32), kept)
    else:
        _weigh(call, logits, width, row, 0)
        if tokens != 0:
            _name(call, row, tokens, width)


@part
def _name(call: int, row: int, tokens: int, count: int) -> None:
    """Replace the places that are chosen by their tokens, int32 [count]."""
    chosen, names = choices_of(call, row), vector(tokens, count)
    for c in range(min(len(chosen), count)):
        chosen[c].token = names[chosen[c].token]


@part
def _place_nodes(frame: int, call: int) -> None:
    """Write the last node of the hypothesis of each row."""
    sentences: int = sentences_of(frame)
    counts = counts_of(call, sentences)
    rows = np.int64(sentences) * call_at(call).beam_size
    row_nodes = array(stage_of(call).row_nodes, (rows,), np.int64)
    for s in range(sentences):
        live = live_of(call, s)
        for h in range(counts[s].alive):
            row_nodes[live[h].row] = live[h].node


@part
def choose(frame: int, call: int, rows: int) -> None:
    """Choose the likeliest tokens of every row, with their log-probabilities."""
    if call_at(call).adjustments != 0:
        _place_nodes(frame, call)
    if call_at(call).candidates != 0:
        sentence = sentence_of(frame, call)
        for r in range(rows):
            tokens = candidates(call, sentence[r])
            logits = candidate_logits(frame, call, r)
            at, own = address(logits, np.int32), address(tokens, np.int32)
            _weigh_row(frame, call, r, at, len(logits), own)
        return
    width = head_width(call)
    for first in range(0, rows, HEAD_ROWS):
        here = min(HEAD_ROWS, rows - first)
        logits = head_logits(frame, call, first, here)
        for r in range(here):
            _weigh_row(frame, call, first + r, logits + r * width * 4, width, 0)
