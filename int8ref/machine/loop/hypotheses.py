"""The records of a beam search (`abi.hypotheses`), inside compiled code."""

from __future__ import annotations

import numpy as np

from int8ref.abi.hypotheses import CHOICE, COUNTS, ENDED, HYPOTHESES, LIVE, NODE
from int8ref.kernels.ir.compile import kernel
from int8ref.kernels.views import array, record_at
from int8ref.machine.loop.rows import call_at

LIVE_BYTES, ENDED_BYTES, CHOICE_BYTES = (kind.itemsize for kind in (LIVE, ENDED, CHOICE))


_record = record_at(HYPOTHESES)


@kernel
def search_of(call):
    """The record of the search (`abi.hypotheses.HYPOTHESES`)."""
    return _record(call_at(call).hypotheses)


@kernel
def live_of(call, s):
    """The live hypotheses of a sentence by rank: LIVE [beam]."""
    size = call_at(call).beam_size
    return array(search_of(call).live + np.int64(s) * size * LIVE_BYTES, (size,), LIVE)


@kernel
def ended_of(call, s):
    """The ended hypotheses of a sentence: ENDED [beam]."""
    size = call_at(call).beam_size
    return array(search_of(call).ended + np.int64(s) * size * ENDED_BYTES, (size,), ENDED)


@kernel
def counts_of(call, sentences):
    """The numbers of hypotheses of each sentence: COUNTS [sentences]."""
    return array(search_of(call).counts, (np.int64(sentences),), COUNTS)


@kernel
def nodes_of(call, count):
    """The first `count` nodes: NODE [count]."""
    return array(search_of(call).nodes, (np.int64(count),), NODE)


@kernel
def choices_of(call, row):
    """The likeliest tokens of a row, best first: CHOICE [choice_count]."""
    count = search_of(call).choice_count
    return array(search_of(call).choices + np.int64(row) * count * CHOICE_BYTES, (count,), CHOICE)


@kernel
def successors_of(call):
    """Memory for the successors of one sentence: LIVE [beam]."""
    return array(search_of(call).successors, (call_at(call).beam_size,), LIVE)
