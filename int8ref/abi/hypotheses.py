"""The memory of a beam search: what native code knows of the hypotheses of every sentence.

A hypothesis is a path through nodes, from its last token back to its first.
"""

from __future__ import annotations

import numpy as np

LIVE = np.dtype(
    [
        ("row", "i8"),  # of the batch
        ("node", "i8"),  # the last one; -1: none yet
        ("total", "i8"),  # sum of the log-probabilities
        ("stays", "i8"),  # while rows are given out: 1 where it stays in the row it comes from
    ]
)
ENDED = np.dtype([("node", "i8"), ("score", "i8")])
"""The last node, and the normalised score."""
COUNTS = np.dtype([("alive", "i8"), ("complete", "i8"), ("cut", "i8")])
"""Hypotheses of a sentence."""
CHOICE = np.dtype([("token", "i8"), ("gain", "i8")])
"""A token and its log-probability; while choices are looked for, its logit."""
NODE = np.dtype([("token", "i8"), ("gain", "i8"), ("parent", "i8")])
"""A token, its log-probability, and the node before it or -1."""

HYPOTHESES = np.dtype(
    [
        ("live", "i8"),  # address of LIVE [sentences, beam]: live hypotheses by rank
        ("ended", "i8"),  # ENDED [sentences, beam]: complete ones by score, then cut ones by score
        ("counts", "i8"),  # COUNTS [sentences]
        ("nodes", "i8"),  # NODE [nodes there may be]: tokens of all hypotheses
        ("choices", "i8"),  # CHOICE [rows there may be, choice_count]: the likeliest, best first
        ("successors", "i8"),  # LIVE [beam]: those of one sentence, as they will be in `live`
        ("cursors", "i8"),  # int64 [beam]: choices of each hypothesis of a sentence that are ranked
        ("claimed", "i8"),  # int64 [rows there may be]: whether a hypothesis lives in the row
        ("maxima", "i8"),  # int64 [blocks of a row of logits]
        ("node_count", "i8"),  # nodes there are
        ("choice_count", "i8"),  # choices of a row
    ]
)
"""What is where: addresses, and two numbers."""

BLOCK = 64
"""Logits that share a maximum."""
