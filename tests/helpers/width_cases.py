"""Operands at which the intermediates of operations reach their ranges, and their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

INT16, INT32 = (-(2**15), 2**15 - 1), (-(2**31), 2**31 - 1)


def parameters(op: str, given: Mapping[str, Any]) -> dict[str, int]:
    """The parameters of the formulas of an operation, from its operands."""
    constants = {name: x for name, x in given.items() if isinstance(x, int)}
    return constants | _SIZES.get(op, _no_sizes)(given)


def _no_sizes(given: Mapping[str, Any]) -> dict[str, int]:
    return {}


def _largest(tensor: Any) -> int:
    return 0 if tensor is None else int(np.abs(tensor.astype(np.int64)).max())


def _linear(given: Mapping[str, Any]) -> dict[str, int]:
    bias = _largest(given["bias"]) << given.get("bias_shift", 0)
    return {"inputs": given["weight"].shape[1], "B": bias}


def _sum(given: Mapping[str, Any]) -> dict[str, int]:
    raised = given.get("exponent") is not None
    found = {
        "E": 9 if raised else 0,
        "Z": _largest(given.get("bias")) if raised else 0,
        "bias_shift": given.get("bias_shift") or 0,
    }
    for name, field in (("A", "a"), ("C", "b")):
        if field in given:
            found[name] = 1 << 8 * given[field].dtype.itemsize - 1
    return found


def _norm(given: Mapping[str, Any]) -> dict[str, int]:
    return {"n": given["x"].shape[1]}


def _branch(given: Mapping[str, Any]) -> dict[str, int]:
    return _norm(given) | _sum(given)


def _heads(given: Mapping[str, Any]) -> dict[str, int]:
    return {"n": given["head_width"]}


def _attention(given: Mapping[str, Any]) -> dict[str, int]:
    offsets, addend = given.get("key_offsets"), given.get("addend")
    steps = given["key"].shape[1] if offsets is None else int(np.diff(offsets).max())
    spread = 0 if addend is None else int(addend.max()) - int(addend.min())
    return {
        "d": given["head_width"],
        "keys": min(steps, given.get("window") or steps),
        "a": _largest(addend),
        "R": spread,
        "b": _largest(given.get("score_bias")),
    }


def _pool(given: Mapping[str, Any]) -> dict[str, int]:
    most = int(np.diff(given["offsets"]).max()) if given["rows"] == 0 else 1
    width = 8 * given["x"].dtype.itemsize - 1
    return {"n": most, "X": 1 << width, "shift": int(given["shift"][0])}


def _columns(given: Mapping[str, Any]) -> dict[str, int]:
    return {"columns": given["x"].shape[1]}


_SIZES = {
    "linear": _linear,
    "match_add": _sum,
    **dict.fromkeys(("layer_norm_l1", "layer_norm_l2", "rms_norm", "normalize"), _norm),
    "rms_norm_branch": _branch,
    "rms_norm_heads": _heads,
    **dict.fromkeys(("attention_softmax", "attention_polynomial"), _attention),
    "pool": _pool,
    "log_softmax": _columns,
}


def array(dtype: str, *rows: Any) -> Any:
    return np.array(rows, dtype)


MOST, NORM = array("int16", 32767), {"bias_shift": 0, "shift": 10, "epsilon": 0, "wide_bits": 7}
WIDE = array("int16", [*INT16, -(2**15), 0])
ROWS = array("int16", [-(2**15)] * 4, [32767, *[-(2**15)] * 3], [32767] * 2 + [-(2**15)] * 2)
ONES = np.ones(4, np.int16)
LONE = {"heads": 1, "head_width": 1, "query_column": 0, "key_column": 0, "value_column": 0}
SEEN = {
    **LONE,
    "query": array("int8", [-128]),
    "sentence": array("int32", 0),
    "key_offsets": array("int32", 0, 4),
    "context_multiplier": array("int32", 2**31 - 1),
    "context_shift": array("int8", 38),
    "limit": 127,
}
KEYS = {"key": array("int8", *[[-128]] * 4), "value": array("int8", *[[-128]] * 4)}
FAR = {"key": array("int8", [-128], [127], [0], [1]), "value": array("int8", *[[127]] * 4)}
ALONE = {"key": KEYS["key"][:1], "value": KEYS["value"][:1], "key_offsets": array("int32", 0, 1)}
SOFTMAX = {
    "score_multiplier": array("int32", 1 << 16),
    "score_limit": array("int32", 32767),
    "score_shift": 17,
}
POLYNOMIAL = {
    "degree": 2,
    "score_bias": array("int32", 65535 - 2**14),
    "score_shift": array("int8", 0),
    "delta_multiplier": array("int32", 2**31 - 1),
    "delta_shift": array("int8", 2),
}
ROUNDED = {  # t is 2^30 - 1, and the weight 2^14
    **POLYNOMIAL,
    "score_bias": array("int32", 32767 - 2**14),
    "delta_multiplier": array("int32", 4 * (2**16 - 2)),
}
LAST = array("int32", 2**31 - 1 - 2**15 - 2**14)
WAVE = {"wave": np.full(256, 127, np.int8), "frequencies": array("int32", 2**31 - 1)}
PLAIN = {"position_table": None, "frequencies": None, "wave": None, "max_positions": 0}

CASES: dict[str, list[dict[str, Any]]] = {
    "embed": [
        {**PLAIN, "ids": array("int32", 0), "positions": None, "table": array("int8", [-128, 127]),
         "multiplier": 2**24 - 1, "channel_multiplier": None, "position_multiplier": 0, "shift": 1,
         "wide_bits": 1},
        {**PLAIN, **WAVE, "ids": array("int32", 0), "positions": array("int32", 2**20 - 1),
         "table": array("int8", [0, 0]), "max_positions": 2**20, "multiplier": 0,
         "channel_multiplier": None, "position_multiplier": 1, "shift": 1, "wide_bits": 1},
    ],
    "linear": [
        {"x": np.full((2, 600), -128, np.int8), "weight": np.full((1, 600), -128, np.int8),
         "bias": MOST, "bias_shift": 5, "multiplier": MOST, "shift": array("int8", 40)},
    ],
    "requantize": [
        {"x": array("int32", INT32), "multiplier": MOST, "shift": array("int8", 20), "limit": 9},
    ],
    "narrow": [{"x": WIDE, "multiplier": MOST, "shift": array("int8", 20)}],
    "rescale": [{"x": WIDE, "low": -(2**15)}],
    "match_add": [
        {"a": array("int32", INT32), "b": array("int16", INT16), "a_multiplier": MOST,
         "b_multiplier": MOST, "b_shift": 30, "shift": 61, "limit": 9,
         "exponent": array("int8", 9), "bias": array("int16", *INT16), "bias_shift": 40},
    ],
    "multiply": [
        {"a": array("int16", INT16), "b": array("int8", [-128, 127]), "multiplier": MOST,
         "shift": array("int8", 9), "limit": 127},
    ],
    "interpolate": [
        {"x": array("int16", [-(2**15), -(2**15) + 127, 32767]),
         "table": np.where(np.arange(513) % 2, 32767, -(2**15)).astype(np.int16)},
        {"x": array("int16", [-1]), "table": np.full(513, 32767, np.int16)},
    ],
    "ssru": [
        {"x": array("int16", INT16 * 2), "gate": array("int16", [32767, 32767, 0, 0]),
         "state": array("int16", INT16 * 2)},
    ],
    **{
        op: [{"x": x, "gain": ONES[: x.shape[1]], "bias": ONES[: x.shape[1]], **NORM}
             for x in (ROWS, ROWS[:, :1])]
        for op in ("layer_norm_l1", "layer_norm_l2", "rms_norm")
    },
    "rms_norm_heads": [
        {"x": x, "gain": ONES[:n], "column": 0, "heads": 1, "head_width": n, "shift": 9,
         "epsilon": 0}
        for n, x in ((4, ROWS), (1, ROWS[:, :1]))
    ],
    "rms_norm_branch": [
        {"x": array("int32", INT32 * 2), "multiplier": MOST, "gain": ONES, "shift": 9,
         "epsilon": 0, "epsilon_shift": 0, "exponent": array("int8", 9),
         "bias": array("int16", *INT16 * 2), "bias_shift": 40},
        {"x": array("int32", [0, 0]), "multiplier": MOST, "gain": ONES[:2], "shift": 9,
         "epsilon": 2**30, "epsilon_shift": 255},
        {"x": array("int32", [-32767, 256, 0, 0]), "multiplier": array("int16", 1), "gain": ONES,
         "shift": 9, "epsilon": 0, "epsilon_shift": 0},
    ],
    "normalize": [
        {"x": ROWS, "length": 32767},
        {"x": ROWS[:, :1], "length": 32767},
    ],
    "attention_softmax": [
        {**SEEN, **KEYS, **SOFTMAX}, {**SEEN, **ALONE, **SOFTMAX}, {**SEEN, **FAR, **SOFTMAX},
        {**SEEN, **FAR, **SOFTMAX, "score_multiplier": array("int32", 65790)},
        {**SEEN, **FAR, **SOFTMAX, "score_limit": array("int32", 2**14), "score_shift": 16},
    ],
    "attention_polynomial": [
        {**SEEN, **KEYS, **POLYNOMIAL}, {**SEEN, **ALONE, **POLYNOMIAL},
        {**SEEN, **FAR, **POLYNOMIAL, "score_bias": LAST},
        {**SEEN, **KEYS, **POLYNOMIAL, "score_bias": -LAST},
        {**SEEN, **KEYS, **POLYNOMIAL, "score_bias": -LAST, "delta_multiplier": array("int32", 4)},
        {**SEEN, **KEYS, **ROUNDED}, {**SEEN, **ALONE, **ROUNDED},
    ],
    "rotary": [
        {"x": array("int16", [-(2**15)] * 2, INT16), "positions": array("int32", 0, 1),
         "cosine": array("int16", [-(2**14)], [2**14]),
         "sine": array("int16", [2**14], [-(2**14)]), "heads": 1, "head_width": 2, "pairs": 1,
         "multiplier": MOST, "shift": array("int8", 20)},
    ],
    "pool": [
        {"x": np.full((4, 1), x, dtype), "offsets": array("int32", 0, 4), "rows": 0,
         "multiplier": MOST, "shift": array("int8", 9), "limit": 9}
        for x, dtype in ((-128, "int8"), (-(2**15), "int16"), (32767, "int16"))
    ],
    "log_softmax": [
        {"x": array("int32", [*INT32, INT32[1]]), "multiplier": 2**30 - 1, "shift": 0},
        {"x": array("int32", [5] * 4), "multiplier": 1, "shift": 0},
    ],
}  # fmt: skip

UNREACHED = {
    "layer_norm_l1": {"t[i] * gain[i]", "y[i]"},
    "layer_norm_l2": {"t[i]", "t[i] * gain[i]", "y[i]"},
    "rms_norm": {"t[i]", "t[i] * gain[i]", "y[i]"},
    "rms_norm_branch": {"t[i]", "t[i] * gain[i]"},
    "rms_norm_heads": {"t[i]", "y[i]"},
}
"""Ranges that the cases do not reach: bounds of quotients, and bounds that a Program proves."""
