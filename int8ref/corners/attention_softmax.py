"""Corner cases of `attention_softmax`."""

from __future__ import annotations

from typing import Any

import numpy as np

from int8ref.corners.attentions import attended, shared_cases
from int8ref.corners.case import Case, full, spread


def _own(heads: int) -> dict[str, Any]:
    """A unit of a score is an octave."""
    return {
        "score_multiplier": [1 << 20] * heads,
        "score_limit": [16] * heads,
        "score_shift": 10,
    }


make = attended("attention_softmax", _own)
FIVE = {"query": [[1], [2], [-1]], "key": [[5], [4], [2], [0], [-3]],
        "value": [[100], [-100], [50], [-7], [127]]}  # fmt: skip
FINE = {"limit": 32767, "context_multiplier": [2**31 - 1], "context_shift": [24]}
"""A result that shows small differences of weights."""
SOURCE = {
    "query": np.zeros((6, 2), np.int8),
    "key": spread("int8", (6, 2), -2, 2),
    "value": spread("int8", (6, 2), -128, 127),
    "domain": "source",
    "sentence": [0, 0, 0, 0, 1, 1],
    "key_offsets": [0, 4, 6],
}


def cases() -> list[Case]:
    """Return the cases."""
    return [*shared_cases(make), *_scores(), *_blocks(), *_addends(), *_caps()]


def _scores() -> list[Case]:
    wide = full("int8", (3, 512), -128)
    wide[1] = 127
    wide[2, ::2] = 127
    fine = {"score_multiplier": [700], "score_limit": [20000]}
    return [
        make("equal_maxima", "of equal scores only one counts",
             query=[[1]], key=[[5], [3], [5], [5]], value=[[100], [7], [-50], [3]]),
        make("far_below", "the limit of the distance is left out", **FIVE, score_limit=[3]),
        make("at_the_limit", "a distance at the limit", **FIVE, score_limit=[2],
             score_multiplier=[1 << 19]),
        make("largest_z", "the weight of z = 2^14 is not 0", **FIVE, score_limit=[1],
             score_multiplier=[1 << 24], score_shift=10),
        make("ties_of_z", "ties of z round another way than up", **FIVE, **FINE,
             score_multiplier=[1], score_shift=1),
        make("ties_of_large_z", "ties of a large z round another way than up", **FIVE, **FINE,
             score_multiplier=[3001], score_limit=[10], score_shift=1),
        make("shift_1", "the least shift of the scores", **FIVE, **FINE, score_multiplier=[2000],
             score_shift=1),
        make("shift_30", "the rounding constant of the largest shift is lost", **FIVE,
             score_multiplier=[2**30 - 1], score_limit=[1], score_shift=30),
        make("product_most", "a distance times a multiplier is narrower than 31 bits", **FIVE,
             score_multiplier=[(2**31 - 2**17) // 5], score_limit=[5], score_shift=18),
        make("fractions", "a coefficient of the power of two is wrong",
             query=[[100]], key=spread("int8", (60, 1), -128, 127),
             value=spread("int8", (60, 1), -128, 127, 4), score_multiplier=[1],
             score_limit=[32767], score_shift=1, limit=32767, context_multiplier=[2**31 - 1],
             context_shift=[24]),
        make("widest_scores", "a score is narrower than 24 bits", query=wide, key=wide[::-1],
             value=spread("int8", (3, 512), -128, 127), score_multiplier=[8],
             score_limit=[1 << 23], score_shift=13),
        make("scores_of_heads", "the factors of the first head serve all heads",
             query=[[3, 3, 3]], key=[[3, 3, 3], [1, 1, 1], [0, 0, 0]],
             value=[[127, 127, 127], [-50, -50, -50], [9, 9, 9]], heads=3,
             score_multiplier=[1 << 10, 1 << 14, 1 << 12], score_limit=[9, 700, 4]),
        make("limit_of_heads", "the limit of the first head serves all heads",
             query=[[3, 3, 3]], key=[[3, 3, 3], [1, 1, 1], [0, 0, 0]],
             value=[[127, 127, 127], [-50, -50, -50], [9, 9, 9]], heads=3,
             score_limit=[2, 16, 1]),
        make("negative_scores", "the search for the largest score begins with 0",
             query=[[-9]], key=[[5], [4], [7]], value=[[100], [-100], [50]]),
        make("fine", "z loses its fraction", **FIVE | {"query": [[100], [50], [-77]]}, **fine),
    ]  # fmt: skip


def _blocks() -> list[Case]:
    """More than one block of 1024 keys."""
    key, value = full("int8", (1030, 1), 127), spread("int8", (1030, 1), -128, 127)
    key[1024:] = -128
    near = spread("int8", (1100, 1), -9, 9, 1)
    near[1024:] -= 5
    sides, tie = full("int8", (1100, 1), 100), full("int8", (1088, 1), 0)
    sides[1024:], tie[:512] = -100, 1
    low = full("int8", (1088, 1), 20)
    low[1024:] = 0
    below = tie.copy()
    below[1024] = -1
    wide = {"limit": 32767, "context_shift": [24]}
    octaves = {"score_multiplier": [1 << 20], "score_limit": [16], "score_shift": 10}
    return [
        make("block_sum_ties", "the joined sum of the weights is rounded down, or has fewer bits",
             [[1]], low, tie, **octaves),
        make("block_ties", "the joined sum of the values is rounded down", [[1]], low[:1025],
             below[:1025], **octaves),
        make("block_heads", "the factor of the first head tells the distances of all blocks",
             [[7, 7]], near.repeat(2, axis=1), sides.repeat(2, axis=1), heads=2, limit=32767,
             context_shift=[24, 24], score_multiplier=[37, 11], score_limit=[800, 800],
             score_shift=1),
        make("block_product", "the distance of a block times a multiplier is cut to 32 bits",
             [[-128]], key, value, **wide, score_multiplier=[2**31 - 1 - 2**17],
             score_limit=[1], score_shift=18),
        make("block_farthest", "the distance of a block is cut to 32 bits", [[-128]], key, value,
             **wide, score_multiplier=[2**15 - 1], score_limit=[1], score_shift=1),
        make("block_shift_1", "the distance of a block is rounded down", [[7]], near,
             sides, **wide, score_multiplier=[37], score_limit=[800], score_shift=1),
        make("block_limit", "the limit of the distance is that of a block too", [[1]], near,
             spread("int8", (1100, 1), -128, 127), **wide, score_limit=[2]),
        make("block_addend", "the place of a row is counted from its block",
             [[1], [2]], near[None] + full("int8", (2, 1, 1), 0),
             spread("int8", (2, 1100, 1), -128, 127), **wide,
             addend=spread("int32", (1, 1200), -9, 9), before=1150, after=49),
        make("block_cap", "the largest score of a block has no cap", [[9]], near,
             spread("int8", (1100, 1), -128, 127), **wide, cap_multiplier=[3025], cap_shift=1,
             score_multiplier=[1 << 9], score_limit=[1 << 21], score_shift=18),
    ]  # fmt: skip


def _addends() -> list[Case]:
    addend = {"addend": [[7, 1, 0, 3, 9]], "before": 2, "after": 2}
    query, key = [[1], [0]], spread("int8", (2, 6, 1), -2, 2)
    history = {"query": query, "key": key, "value": spread("int8", (2, 6, 1), -128, 127)}
    two = {"query": [[0, 0]] * 4, "key": [[0, 0]] * 4, "value": spread("int8", (4, 2), -128, 127),
           "domain": "source"}  # fmt: skip
    most = 2**30 - 2**15 - 1
    return [
        make("addend", "the distance has the other sign", **SOURCE, **addend),
        make("addend_before", "far keys before the row have no addend", **SOURCE,
             addend=[[7, 0]], before=1, after=0),
        make("addend_after", "far keys after the row have no addend", **SOURCE,
             addend=[[0, 7]], before=0, after=1),
        make("addend_alone", "one addend for all distances", **SOURCE, addend=[[-9]], before=0,
             after=0),
        make("addend_history", "the row is not at the end of its history", **history,
             addend=[[9, 5, 2, 0]], before=3, after=0),
        make("addend_window", "the window changes the distances", **history, window=3,
             addend=[[9, 5, 2, 0, 8]], before=3, after=1),
        make("addend_of_heads", "the addends of the first head serve all heads", **two, heads=2,
             addend=[[0, 1, 2], [5, 0, 3]], before=1, after=1),
        make("addend_ends", "the difference of two scores is narrower than 32 bits", **SOURCE,
             addend=[[most, -most, most]], before=1, after=1, score_multiplier=[1],
             score_limit=[2**31 - 2**18], score_shift=18),
        make("addend_farthest", "a distance has 8 bits", query=full("int8", (2, 1), 0),
             key=full("int8", (2, 300, 1), 0), value=spread("int8", (2, 300, 1), -128, 127),
             addend=spread("int32", (1, 2047), -9, 0), before=1023, after=1023),
    ]  # fmt: skip


def _caps() -> list[Case]:
    octave = {"score_multiplier": [1 << 20], "score_limit": [1 << 10], "score_shift": 20}
    small = {"score_multiplier": [1 << 9], "score_limit": [1 << 21], "score_shift": 18}
    many = {"query": [[9], [-100]], "key": [[5], [4], [2], [0], [-3], [127], [-128]],
            "value": [[100], [-100], [50], [-7], [127], [-128], [1]]}  # fmt: skip
    return [
        make("cap", "the soft cap is left out", **many, cap_multiplier=[3025], cap_shift=1,
             **small),
        make("cap_clamps", "the clamp before the tanh is left out", **many,
             cap_multiplier=[2**31 - 1], cap_shift=1, **small),
        make("cap_least", "the least multiplier of the cap", **many, cap_multiplier=[1],
             cap_shift=1, **small),
        make("cap_62", "the largest shift of the cap", **many, cap_multiplier=[2**31 - 1],
             cap_shift=62, **octave),
        make("cap_ties", "ties of the cap round another way than up", **many,
             cap_multiplier=[1 << 13], cap_shift=14, **octave),
        make("cap_units", "the capped scores are not shifted by 10", **many,
             cap_multiplier=[40000], cap_shift=4, score_multiplier=[1 << 10], score_limit=[99999],
             score_shift=13),
        make("cap_small", "a capped score below 1 is rounded down", query=[[1]],
             key=[[0], [2]], value=[[0], [100]], cap_multiplier=[2], cap_shift=1,
             score_multiplier=[1 << 14], score_limit=[2], score_shift=1),
        make("cap_rounds", "the capped scores are rounded down", **FIVE, **FINE,
             cap_multiplier=[738], cap_shift=1, score_multiplier=[2], score_limit=[1 << 14],
             score_shift=1),
        make("cap_of_heads", "the cap of the first head serves all heads",
             query=[[9, 9]], key=[[5, 5], [1, 1], [-3, -3]],
             value=[[100, 100], [-100, -100], [9, 9]], heads=2, cap_multiplier=[900, 90000],
             cap_shift=1, score_multiplier=[1 << 9] * 2, score_limit=[1 << 21] * 2,
             score_shift=18),
        make("cap_history", "a history has no cap", query=[[9]], key=[[[5], [1], [-3]]],
             value=[[[100], [-100], [9]]], cap_multiplier=[3025], cap_shift=1, **small),
    ]  # fmt: skip
