"""Operands of the corner cases of an operation, and the parameters of its widths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from int8ref.corners import cases_of
from int8ref.spec.instruction import Instruction

Operands = dict[str, Any]


def corner_operands(op: str) -> Iterator[Operands]:
    """Yield the operands of each corner case."""
    for case in cases_of(op):
        yield operands(case.instruction, case.values, case.tensors)


def operands(
    instruction: Instruction, values: Mapping[str, Any], tensors: Mapping[str, Any]
) -> Operands:
    """The operands of an instruction by field: arrays, constants, and None if they are absent."""
    sources = {"value": values, "tensor": tensors}
    return {
        field: sources[kind][x] if kind in sources and x is not None else x
        for field, kind, x in instruction.operands()
        if kind != "result"
    }


def parameters(op: str, given: Operands) -> dict[str, int]:
    """The parameters of the formulas of an operation, from its operands."""
    constants = {name: x for name, x in given.items() if isinstance(x, int)}
    return constants | (_SIZES[op](given) if op in _SIZES else {})


def _largest(tensor: Any) -> int:
    return 0 if tensor is None else int(np.abs(tensor.astype(np.int64)).max())


def _linear(given: Operands) -> dict[str, int]:
    return {
        "inputs": given["weight"].shape[1],
        "B": _largest(given["bias"]) << given["bias_shift"],
    }


def _sum(given: Operands) -> dict[str, int]:
    raised = given["exponent"] is not None
    found = {
        "E": 9 if raised else 0,
        "Z": _largest(given["bias"]) if raised else 0,
        "bias_shift": given["bias_shift"] or 0,
    }
    for name, field in (("A", "a"), ("C", "b")):
        if field in given:
            found[name] = 1 << 8 * given[field].dtype.itemsize - 1
    return found


def _norm(given: Operands) -> dict[str, int]:
    return {"n": given["x"].shape[1]}


def _branch(given: Operands) -> dict[str, int]:
    return _norm(given) | _sum(given)


def _heads(given: Operands) -> dict[str, int]:
    return {"n": given["head_width"]}


def _attention(given: Operands) -> dict[str, int]:
    offsets, addend = given["key_offsets"], given.get("addend")
    steps = given["key"].shape[1] if offsets is None else int(np.diff(offsets).max())
    return {
        "d": given["head_width"],
        "keys": min(steps, given["window"] or steps),
        "a": _largest(addend),
        "R": 0 if addend is None else int(addend.max()) - int(addend.min()),
        "cap": 1 << 20 if given.get("cap_shift") else 0,
        "b": _largest(given.get("score_bias")),
    }


def _pool(given: Operands) -> dict[str, int]:
    most = int(np.diff(given["offsets"]).max()) if given["rows"] == 0 else 1
    width = 8 * given["x"].dtype.itemsize - 1
    return {"n": most, "X": 1 << width, "shift": int(given["shift"][0])}


def _columns(given: Operands) -> dict[str, int]:
    return {"columns": given["x"].shape[1]}


_SIZES = {
    "linear": _linear,
    "match_add": _sum,
    "layer_norm_l1": _norm,
    "layer_norm_l2": _norm,
    "rms_norm": _norm,
    "rms_norm_branch": _branch,
    "rms_norm_heads": _heads,
    "normalize": _norm,
    "attention_softmax": _attention,
    "attention_polynomial": _attention,
    "pool": _pool,
    "log_softmax": _columns,
}

UNREACHED = {
    "layer_norm_l2": {"t[i]", "t[i] * gain[i]", "y[i]"},
    "rms_norm": {"t[i]", "t[i] * gain[i]", "y[i]"},
    "rms_norm_branch": {"t[i]", "t[i] * gain[i]"},
    "rms_norm_heads": {"t[i]", "y[i]"},
}
"""Ranges that the cases do not reach.

The bound of |t| is twice the root of n, because the root is rounded down.  Nothing reaches it.
"""
