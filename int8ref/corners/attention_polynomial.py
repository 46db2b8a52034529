"""Corner cases of `attention_polynomial`."""

from __future__ import annotations

from typing import Any

from int8ref.corners.attentions import attended, shared_cases
from int8ref.corners.case import Case, full, spread


def _own(heads: int) -> dict[str, Any]:
    """A weight is (score + 2)^2 + 1."""
    return {
        "degree": 2,
        "score_bias": [2] * heads,
        "score_shift": [0] * heads,
        "delta_multiplier": [4] * heads,
        "delta_shift": [2] * heads,
    }


make = attended("attention_polynomial", _own)
FIVE = {"query": [[1], [2], [-1]], "key": [[5], [4], [2], [0], [-3]],
        "value": [[100], [-100], [50], [-7], [127]]}  # fmt: skip
FINE = {"limit": 32767, "context_multiplier": [2**31 - 1], "context_shift": [24]}
"""A result that shows small differences of weights."""
MOST = {"score_bias": [32767], "delta_multiplier": [4 * (2**16 - 2)], "delta_shift": [2]}
"""For a score of 0, p + delta is 2^30 - 1, and the weight is rounded up to 2^14."""


def cases() -> list[Case]:
    """Return the cases."""
    return [*shared_cases(make), *_blocks(), *_degrees(), *_shifts(), *_deltas()]


def _blocks() -> list[Case]:
    """More than one block of 1024 keys; the blocks have different shifts."""
    large = full("int8", (1030, 16), -128)
    large[1024:] = 0
    half = full("int8", (1030, 16), -128)
    half[1024:] = -64
    some = spread("int8", (1030, 1), 1, 9)
    some[1000:1010] = 127
    value = spread("int8", (1030, 1), -128, 127, 3)
    return [
        make("block_units", "the unit of the first block is that of all blocks", [[127]], some,
             value, **FINE, degree=2),
        make("block_powers", "the shift of the scores counts once in a power", [[127]], some, value,
             **FINE, degree=4, score_bias=[1 << 19], score_shift=[1]),
        make("block_shift", "the shift of the scores counts once in a square",
             full("int8", (1, 16), -128), half, spread("int8", (1030, 16), -128, 127, 3), **FINE,
             degree=2, score_bias=[0]),
        make("block_farthest", "the distance of a block is narrower than 16 bits",
             full("int8", (1, 16), -128), large, spread("int8", (1030, 16), -128, 127, 3), **FINE,
             degree=4, score_bias=[0]),
        make("block_most", "a sum of weights times its factor is narrower than 45 bits", [[1]],
             full("int8", (2048, 1), 0), spread("int8", (2048, 1), -128, 127), **MOST, **FINE),
        make("block_delta", "a block without a positive score counts nothing", [[-1]], some, value,
             **FINE, score_bias=[30], delta_multiplier=[1 << 9]),
    ]  # fmt: skip


def _degrees() -> list[Case]:
    wide = {"query": [[127], [-128], [3]], "key": [[127], [-128], [64], [1], [-5]],
            "value": FIVE["value"]}  # fmt: skip
    return [
        make(f"degree_{degree}{name}", reason, **data, degree=degree, **FINE, **more)
        for degree in (1, 2, 3, 4)
        for name, reason, data, more in (
            ("", "a power has another degree", FIVE, {}),
            ("_large", "a power is not brought to 30 bits", wide, {"score_bias": [70000]}),
            ("_largest", "a power of 2^15 wraps", FIVE,
             {"score_bias": [65535 << 14], "score_shift": [0]}),
            ("_delta", "the delta does not shrink with the row", wide,
             {"delta_multiplier": [2**31 - 1], "delta_shift": [2], "score_bias": [2 << 20]}),
        )
    ]  # fmt: skip


def _shifts() -> list[Case]:
    key = [[127], [126], [1], [0], [-128]]
    values = FIVE["value"]
    wide = full("int8", (3, 512), -128)
    wide[1] = 127
    wide[2, ::2] = 127
    largest = [bias for bits in (14, 15, 16, 20) for bias in ((1 << bits) - 1, 1 << bits)]
    return [
        *(make(f"row_shift_{bias}", "a power of two gives the row shift below or above",
               query=[[0], [1], [-1]], key=key, value=values, score_bias=[bias], **FINE)
          for bias in largest),
        make("row_shift_ties", "ties of the row shift round another way than up",
             query=[[1], [2]], key=key, value=values, score_bias=[1 << 17], **FINE),
        make("least_shift", "the least shift of the scores is left out", **FIVE,
             score_shift=[2], score_bias=[40], **FINE),
        make("least_shift_16", "the largest shift of the scores", **FIVE,
             score_shift=[16], score_bias=[1 << 20], **FINE),
        make("negative_bias", "the bias has the other sign", **FIVE, score_bias=[-3], **FINE),
        make("bias_most", "a score is narrower than 32 bits", **FIVE, **FINE,
             score_bias=[2**31 - 1 - 2**14 - 2**15]),
        make("bias_least", "a negative score is narrower than 32 bits", **FIVE, **FINE,
             score_bias=[-(2**31 - 1 - 2**14 - 2**15)]),
        make("widest_scores", "a sum of products is narrower than 24 bits", query=wide,
             key=wide[::-1], value=spread("int8", (3, 512), -128, 127), score_bias=[-12345]),
        make("small_weights", "weights below 2^13 are not raised",
             query=[[1]], key=[[0], [-1], [1]], value=[[100], [-100], [50]], score_bias=[1],
             **FINE),
        make("weight_ties", "ties of the weights round another way than up",
             query=[[1]], key=[[127], [1], [2], [3], [5], [6], [7]],
             value=[[1], [100], [-100], [50], [-7], [127], [9]], score_bias=[140], degree=2,
             delta_multiplier=[8], delta_shift=[2], **FINE),
        make("weight_most", "a weight is narrower than 15 bits", query=[[1]],
             key=[[0], [0], [-1]], value=[[127], [100], [-7]], **MOST, **FINE),
        make("mean_product_most", "the product of the mean is narrower than 53 bits",
             query=[[1]], key=[[0]], value=[[-128]], **MOST,
             context_multiplier=[2**31 - 1], context_shift=[38]),
        make("own_row_shift", "the shift of the first row serves all rows",
             query=[[1], [100], [-128]], key=key, value=values, score_bias=[9], **FINE),
        make("of_heads", "the operands of the first head serve all heads",
             query=[[9, 9, 9]], key=[[5, 5, 5], [-1, -1, -1], [3, 3, 3]],
             value=[[100] * 3, [-100] * 3, [50] * 3], heads=3, score_bias=[5, 500, -20],
             score_shift=[0, 3, 1], delta_multiplier=[4, 4000, 99999], delta_shift=[2, 3, 4]),
    ]  # fmt: skip


def _deltas() -> list[Case]:
    below = {"query": [[1]], "key": [[-9], [-50], [-128]], "value": [[100], [-100], [50]]}
    return [
        make("all_below", "a row without a positive score has no weights", **below, **FINE),
        make("all_at_zero", "a score of exactly -b counts", **below, score_bias=[9], **FINE),
        make("delta_most", "p + delta is narrower than 31 bits", **FIVE, **FINE,
             score_bias=[65530], score_shift=[1], delta_multiplier=[2**31 - 1],
             delta_shift=[2]),
        make("delta_31", "the largest shift of the delta", **FIVE, **FINE,
             delta_multiplier=[2**31 - 1], delta_shift=[31]),
        make("delta_least", "the least delta is rounded down to 0", **FIVE, **FINE,
             delta_multiplier=[2], delta_shift=[2]),
        make("delta_ties", "ties of the delta round another way than up", **FIVE, **FINE,
             delta_multiplier=[6], delta_shift=[2]),
        make("delta_cut", "the shift of the delta is not cut at 62", **FIVE, **FINE, degree=4,
             score_bias=[2**31 - 1 - 2**15 - 2**14], delta_multiplier=[2**31 - 1],
             delta_shift=[31]),
        make("delta_cut_at_31", "the shift of the delta is cut at 31", **FINE, degree=3,
             query=[[127, 127, 127, 127, 1]],
             key=[[127, 127, 127, 15, 106], [0, 0, 0, 0, 0]],
             value=[[0] * 5, [127] * 5], score_bias=[9602], delta_multiplier=[1 << 30],
             delta_shift=[31]),
        make("delta_of_least_shift", "the delta shrinks from a shift of 0 on", **FIVE, **FINE,
             score_shift=[4], score_bias=[1 << 20], delta_multiplier=[2**31 - 1],
             delta_shift=[9], degree=1),
        make("delta_large", "a large delta", **FIVE, **FINE, delta_multiplier=[99999],
             delta_shift=[5]),
    ]  # fmt: skip
