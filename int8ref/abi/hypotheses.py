"""The memory of a beam search: the records of the hypotheses of every sentence.

A hypothesis is a path through nodes, from its last token to its first token.
"""

from __future__ import annotations

import numpy as np

LIVE = np.dtype(
    [
        ("row", "i8"),  # row of the batch
        ("node", "i8"),  # last node; -1: no token yet
        ("total", "i8"),  # sum of the log-probabilities
        ("stays", "i8"),  # while rows are assigned: 1 if it stays in the row of its parent
    ]
)
ENDED = np.dtype([("node", "i8"), ("score", "i8")])
"""The last node and the normalised score."""
COUNTS = np.dtype([("alive", "i8"), ("complete", "i8"), ("cut", "i8")])
"""The numbers of hypotheses of a sentence."""
CHOICE = np.dtype([("token", "i8"), ("gain", "i8")])
"""A token and its log-probability; during the selection, its logit."""
NODE = np.dtype([("token", "i8"), ("gain", "i8"), ("parent", "i8")])
"""A token, its log-probability, and the previous node or -1."""

HYPOTHESES = np.dtype(
    [
        ("live", "i8"),  # address of LIVE [sentences, beam]: live hypotheses by rank
        ("ended", "i8"),  # ENDED [sentences, beam]: by score, complete before cut
        ("counts", "i8"),  # COUNTS [sentences]
        ("nodes", "i8"),  # NODE [most nodes]: tokens of all hypotheses
        ("choices", "i8"),  # CHOICE [most rows, choice_count]: the likeliest tokens, best first
        ("successors", "i8"),  # LIVE [beam]: the next content of `live` for one sentence
        ("cursors", "i8"),  # int64 [beam]: number of ranked choices of each hypothesis
        ("claimed", "i8"),  # int64 [most rows]: 1 if a hypothesis lives in the row
        ("maxima", "i8"),  # int64 [blocks of a row of logits]
        ("node_count", "i8"),  # number of used nodes
        ("choice_count", "i8"),  # number of choices of a row
    ]
)
"""Addresses of the arrays, and two numbers."""

BLOCK = 64
"""Number of logits that share a maximum."""
