"""Corner cases that all kinds of attention share: what a row sees, heads, columns, and the mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from int8ref.corners.case import Case, case, full, spread

Make = Callable[..., Case]
"""(name, reason, query, key, value, **fields) -> a case of one kind of attention."""
ONE = {"context_multiplier": [1 << 30], "context_shift": [30]}
"""Values and results have one scale."""


def attended(op: str, own: Callable[[int], dict[str, Any]]) -> Make:
    """Return the maker of the cases of one kind of attention.

    `own`: number of heads -> the operands that this kind adds.  A case has one sentence, one head
    over all columns of the query, and one scale, unless its fields say otherwise.
    """

    def make(name: str, reason: str, query: Any, key: Any, value: Any, **fields: Any) -> Case:
        heads = fields.get("heads", 1)
        history = np.ndim(key) == 3
        rows = {} if history else {"sentence": [0] * len(query), "key_offsets": [0, len(key)]}
        usual = {
            **rows,
            "heads": 1,
            "head_width": np.shape(query)[1] // heads,
            **{f"{part}_column": 0 for part in ("query", "key", "value")},
            "context_multiplier": [1 << 30] * heads,
            "context_shift": [30] * heads,
        }
        operands = {"query": query, "key": key, "value": value}
        return case(op, name, reason, **operands, **usual | own(heads) | fields)

    return make


def shared_cases(make: Make) -> list[Case]:
    """Return the cases that every kind of attention has."""
    return [
        *_seen(make), *_blocks(make), *_histories(make), *_heads(make), *_mean(make),
        *_factors(make),
    ]  # fmt: skip


def _seen(make: Make) -> list[Case]:
    key, value = spread("int8", (9, 3), -8, 8), spread("int8", (9, 3), -128, 127, 5)
    query = spread("int8", (5, 3), -8, 8, 3)
    offsets = [0, 1, 6, 9]
    return [
        make("one_key", "a row that sees one key", [[5, -3]], [[7, 2]], [[100, -128]]),
        make("sentences", "all rows see the keys of the first sentence", query, key, value,
             sentence=[2, 0, 1, 1, 2], key_offsets=offsets),
        make("own_sentence", "a row of the source sees another sentence", key, key, value,
             domain="source", sentence=[0, 1, 1, 1, 1, 1, 2, 2, 2], key_offsets=offsets),
        make("most_keys", "more than 1023 keys, or a sum of weights of 24 bits", [[1, 0]],
             full("int8", (1024, 2), 3), spread("int8", (1024, 2), -128, 127)),
        make("accumulator_least", "the weighted sum is narrower than 32 bits", [[1]],
             full("int8", (1024, 1), 3), full("int8", (1024, 1), -128), limit=32767),
        *(make(f"keys_{n}", "keys beside a whole block are lost", spread("int8", (2, 2), -9, 9),
               spread("int8", (n, 2), -9, 9), spread("int8", (n, 2), -128, 127))
          for n in (2, 3, 17, 33, 65)),
    ]  # fmt: skip


def _blocks(make: Make) -> list[Case]:
    """More than one block of 1024 keys.  A result has the scale of values times 2^6."""
    fine = {"limit": 32767, "context_shift": [24]}

    def some(keys: int) -> dict[str, Any]:
        return {"query": spread("int8", (1, 2), -9, 9, 4), "key": spread("int8", (keys, 2), -9, 9),
                "value": spread("int8", (keys, 2), -128, 127, 5)}  # fmt: skip

    last = full("int8", (2049, 1), 0)
    last[-1] = 1
    high = full("int8", (2049, 1), 100)
    high[-1] = -100
    steps = {"query": [[1, -2], [2, 1]], "key": spread("int8", (2, 1300, 2), -9, 9),
             "value": spread("int8", (2, 1300, 2), -128, 127, 5)}  # fmt: skip
    return [
        *(make(f"block_{keys}", "the block of a key is wrong", **some(keys), **fine)
          for keys in (1025, 2048, 2049)),
        make("block_least", "the sums of two blocks are narrower than 53 bits", [[1]],
             full("int8", (2048, 1), 3), full("int8", (2048, 1), -128), **fine),
        make("block_of_one", "the last block has the largest score and one key", [[1]], last, high,
             **fine),
        make("block_far", "a block that is far below counts", [[127]], last - 1, high, **fine),
        make("block_of_sentences", "a sentence takes the blocks of the batch", [[1, 2], [2, 1]],
             spread("int8", (1500, 2), -9, 9), spread("int8", (1500, 2), -128, 127, 5), **fine,
             sentence=[1, 0], key_offsets=[0, 300, 1500]),
        make("block_history", "a history of two blocks", **steps, **fine),
        make("block_window", "a block of a window begins at another key than the first one seen",
             **steps, **fine, window=1100),
        make("block_group", "the heads of a group share sums", heads=2, group=2, limit=32767,
             context_shift=[24, 26], query=[[3, -4]], key=spread("int8", (1200, 1), -9, 9),
             value=spread("int8", (1200, 1), -128, 127, 5)),
    ]  # fmt: skip


def _histories(make: Make) -> list[Case]:
    query = spread("int8", (3, 4), -8, 8)

    def history(steps: int, start: int = 0) -> dict[str, Any]:
        shape = (3, steps, 4)
        return {"query": query, "key": spread("int8", shape, -8, 8, start),
                "value": spread("int8", shape, -128, 127, start + 3)}  # fmt: skip

    return [
        make("history_1", "a history of one step", **history(1)),
        make("history_5", "rows see the history of the first row", **history(5)),
        make("history_70", "a history of more than 64 steps", **history(70, 9)),
        make("window_1", "a window of one step", window=1, **history(5)),
        make("window_3", "a window takes the first steps", window=3, **history(5)),
        make("window_of_all", "a window as long as the history", window=5, **history(5)),
        make("window_longer", "a window that is longer than the history", window=1 << 20,
             **history(5)),
        make("history_heads", "histories of several heads", heads=4, group=2, window=2,
             **history(4) | {"key": spread("int8", (3, 4, 2), -8, 8),
                             "value": spread("int8", (3, 4, 2), -128, 127, 7)}),
    ]  # fmt: skip


def _heads(make: Make) -> list[Case]:
    def three(queries: int, keys: int, values: int) -> dict[str, Any]:
        return {
            "query": spread("int8", (3, queries), -9, 9),
            "key": spread("int8", (4, keys), -9, 9, 5),
            "value": spread("int8", (4, values), -128, 127, 7),
        }

    return [
        make("heads", "all heads have the columns of the first head", heads=3, **three(6, 6, 6)),
        make("group_1", "a group of one head", heads=2, group=1, **three(6, 6, 6)),
        make("group_2", "the keys of a group are those of head h mod the number of keys' heads",
             heads=6, group=2, **three(12, 6, 6)),
        make("group_of_all", "one head of keys serves all heads", heads=3, group=3,
             **three(6, 2, 2)),
        make("columns", "the first columns are used, whatever the columns are", heads=2,
             head_width=2, query_column=3, key_column=1, value_column=2, **three(8, 6, 7)),
        make("columns_with_groups", "a column of keys counts as many heads as a column of queries",
             heads=4, head_width=1, group=2, query_column=1, key_column=3, value_column=0,
             **three(5, 5, 3)),
        make("width_33", "columns beside a whole block are lost", **three(33, 33, 33)),
        make("width_17", "columns of heads beside a whole block are lost", heads=2,
             **three(34, 34, 34)),
        make("most_heads", "the most heads", heads=256, group=256,
             **three(256, 1, 1)),
        make("widest_head", "the widest head", **three(512, 512, 512)),
        make("minus_128", "an operand of -128 is read as -127, or as unsigned",
             query=[[-128, -128], [127, -128]], key=[[-128, -128], [127, 127], [-128, 127]],
             value=[[-128, 127], [127, -128], [-128, -128]]),
    ]  # fmt: skip


def _mean(make: Make) -> list[Case]:
    """Two equal keys have equal weights, thus the mean is half of the sum of two values."""
    same = {"query": [[1]], "key": [[2], [2]]}
    odd = [[1, -1, 3, -3, 0, 127, -128], [0, 0, 0, 0, 1, 127, -128]]
    wide = {"query": [[1] * 7], "key": [[0] * 7, [0] * 7], "value": odd}
    ends = {"query": [[0] * 4], "key": [[0] * 4], "value": [[127, -128, 1, -1]]}
    near = [[127, -128, -127, 126]]
    return [
        make("ties", "ties of the mean round another way than up", **wide),
        make("saturate_8_bits", "a result of 8 bits wraps, or its lower end is -128",
             **ends | {"value": near}, context_multiplier=[(1 << 30) + (1 << 23)]),
        make("saturate_far", "the rounded mean is cut to 16 bits", **ends,
             context_multiplier=[2**31 - 1], context_shift=[20], limit=32767),
        make("limit_128", "a result above 127 has 8 bits", **ends, limit=128,
             context_multiplier=[2**31 - 1]),
        make("limit_1", "the smallest limit", **ends, limit=1),
        make("thirds", "the mean of three values is rounded down",
             query=[[1]], key=[[2], [2], [2]], value=[[1], [0], [1]]),
        make("rows", "the weights of the first row serve all rows",
             query=[[9], [-9], [0], [1]], key=[[9], [-9], [1]], value=[[100], [-100], [50]]),
        make("one_value", "the sum of the weights is the number of keys", **same,
             value=[[127], [127]]),
    ]  # fmt: skip


def _factors(make: Make) -> list[Case]:
    some = {"query": [[3], [1]], "key": [[3], [1], [-2]], "value": [[127], [-128], [55]]}
    heads = {"query": [[3, 3, 3]], "key": [[3, 3, 3], [1, 1, 1]],
             "value": [[127, 127, 127], [-50, -50, -50]], "heads": 3}  # fmt: skip
    return [
        make("context_of_heads", "the factor of the first head serves all heads", **heads,
             context_multiplier=[1 << 30, 1 << 28, 2**31 - 1], context_shift=[30, 29, 38]),
        make("context_least", "a factor that rounds down to 0 or 1", **some,
             context_multiplier=[1], context_shift=[20], limit=32767),
        make("context_odd", "the factor is rounded to the nearest", **some,
             context_multiplier=[12345], context_shift=[20], limit=32767),
        make("context_20", "the least shift", **some, context_multiplier=[1 << 21],
             context_shift=[20], limit=32767),
        make("context_38", "the largest shift", **some, context_multiplier=[2**31 - 1],
             context_shift=[38], limit=32767),
        make("context_floor", "the factor is rounded to the nearest, or up", query=[[1]],
             key=[[2], [2], [2]], value=[[-63], [-63], [-63]], context_multiplier=[8323],
             context_shift=[20]),
        make("context_bits", "the factor loses its last bit", query=[[1, 1]], key=[[2, 2]],
             value=[[3, -3]], context_multiplier=[174763], context_shift=[20]),
        make("context_fine", "the factor is narrower than 31 bits", **some,
             context_multiplier=[2**31 - 77], context_shift=[24], limit=32767),
    ]  # fmt: skip
