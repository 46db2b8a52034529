"""Operands of all kinds of attention, and the exact result from given weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from int8ref.program.inputs import Values
from int8ref.program.program import Tensors
from int8ref.reference.attention import Attention
from int8ref.spec.scope import Domain
from tests.ops.cases import Array, Case, integers

DOMAINS: dict[str, Domain] = {
    "source.offsets": "sentence",
    "source.sentence": "source",
    "target.sentence": "target",
    "qkv": "source",
    "key": "source",
    "value": "source",
    "history": "history",
}
Weights = Callable[[Case, Array, int], Array]
"""Maps the exact scores of a row (float64) and the head to weights, which are not normalised."""


@st.composite
def operands(draw: st.DrawFn, kind: str | None = None) -> tuple[dict[str, Any], Values, Tensors]:
    """Draw the fields, values and tensors that all kinds of attention have.

    "self" is self-attention of a source.  "source" is attention of target rows to a source.
    "history" is attention of target rows to their own histories.
    """
    kind = kind or draw(st.sampled_from(["self", "source", "history"]))
    key_heads, group = draw(st.integers(1, 3)), draw(st.sampled_from([None, None, 1, 2, 3]))
    heads, head_width = key_heads * (group or 1), draw(st.integers(1, 9))
    fields: dict[str, Any] = {
        f"{part}_column": draw(st.integers(0, 5)) for part in ("query", "key", "value")
    }
    used = {"query": heads * head_width} | dict.fromkeys(("key", "value"), key_heads * head_width)
    columns = {part: fields[f"{part}_column"] + width for part, width in used.items()}
    if group is not None:
        fields["group"] = group
    if kind == "history" and draw(st.booleans()):
        fields["window"] = draw(st.integers(1, 8))
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    if kind == "self":
        sentence = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    else:
        rows = draw(st.integers(1, 6))
        sentence = draw(integers("int32", (rows,), 0, len(lengths) - 1))
    every: dict[str, dict[str, tuple[int, ...]]] = {
        "self": {"qkv": (len(sentence), max(columns.values()))},
        "source": {
            "query": (len(sentence), columns["query"]),
            "key": (sum(lengths), columns["key"]),
            "value": (sum(lengths), columns["value"]),
        },
        "history": {
            "query": (len(sentence), columns["query"]),
            "history": (len(sentence), lengths[0], max(columns["key"], columns["value"])),
        },
    }
    values = {name: draw(integers("int8", shape)) for name, shape in every[kind].items()}
    for part in ("query", "key", "value"):
        fields[part] = next(name for name in (part, "history", "qkv") if name in values)
    if kind != "history":
        fields["sentence"] = "source.sentence" if kind == "self" else "target.sentence"
        fields["key_offsets"] = "source.offsets"
        values[fields["sentence"]] = sentence
        values["source.offsets"] = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    tensors = {
        "context_multiplier": draw(integers("int32", (heads,), 1)),
        "context_shift": draw(integers("int8", (heads,), 20, 38)),
    }
    fields["limit"] = draw(st.sampled_from([127, 127, 1, 128, 32767]))
    fields |= {"heads": heads, "head_width": head_width, "out": "out"}
    fields |= {name: name for name in tensors}
    return fields, values, tensors


def self_attention(cls: type[Attention], qkv: Array, tensors: dict[str, Any], **more: Any) -> Case:
    """Return self-attention of one head over one sentence.

    The output has the scale of the values.
    """
    keys, width = len(qkv), qkv.shape[1] // 3
    tensors = {name: np.asarray([x], kind) for name, (x, kind) in tensors.items()} | {
        "context_multiplier": np.array([1 << 30], np.int32),
        "context_shift": np.array([30], np.int8),
    }
    return Case(
        cls(
            query="qkv", key="qkv", value="qkv", sentence="source.sentence",
            key_offsets="source.offsets", heads=1, head_width=width, query_column=0,
            key_column=width, value_column=2 * width, out="out",
            **{name: name for name in tensors}, **more,
        ),
        {
            "qkv": qkv,
            "source.sentence": np.zeros(keys, np.int32),
            "source.offsets": np.array([0, keys], np.int32),
        },
        tensors,
        DOMAINS,
    )  # fmt: skip


def seen(case: Case, row: int) -> tuple[Array, Array]:
    """Return the used columns of the keys and values of a row, once for each query head."""
    op: Attention = case.instruction  # type: ignore[assignment]
    shared = [h // (op.group or 1) for h in range(op.heads)]
    width = (shared[-1] + 1) * op.head_width
    order = [head * op.head_width + column for head in shared for column in range(op.head_width)]
    if op.sentence is None:
        window = op.window or case.values[op.key].shape[1]
        keys, values = (case.values[name][row][-window:] for name in (op.key, op.value))
    else:
        offsets, b = case.values["source.offsets"], case.values[op.sentence][row]
        rows = slice(offsets[b], offsets[b + 1])
        keys, values = (case.values[name][rows] for name in (op.key, op.value))
    return (
        keys[:, op.key_column : op.key_column + width][:, order],
        values[:, op.value_column : op.value_column + width][:, order],
    )


def place(case: Case, row: int) -> int:
    """Return the number of keys before the own key of a row."""
    op: Attention = case.instruction  # type: ignore[assignment]
    if op.sentence is None:
        return int(case.values[op.key].shape[1]) - 1
    return row - int(case.values["source.offsets"][case.values[op.sentence][row]])


def added(case: Case, row: int, h: int, keys: int) -> list[int]:
    """Return the addend of each score of a row, one distance after another."""
    op: Any = case.instruction
    name = getattr(op, "addend", None)
    if not isinstance(name, str):
        return [0] * keys
    table, found = case.tensors[name][h].tolist(), []
    for key in range(keys):
        distance = key - place(case, row)
        nearest = -op.before if distance < -op.before else min(distance, op.after)
        found.append(table[nearest + op.before])
    return found


def float_attention(
    case: Case, weights: Weights, moved: Callable[[Case, Array, Array, int], float]
) -> tuple[Array, Array]:
    """Return (out, bound) in float64.  `out` is clipped but not rounded. |integer - out| <= bound.

    `moved` bounds the sum over the keys of the differences between the weights of a row and the
    weights of the operation, in units of the largest weight.  Let S be the sum of the weights and d
    the bound.  Numerator and denominator of the mean change by at most d.  Therefore the mean
    changes by at most 2 * d / (S - d) times max |value|.  The factor is exact to 2^-28, and the
    result is rounded once.
    """
    op: Attention = case.instruction  # type: ignore[assignment]
    width = op.heads * op.head_width
    query = case.values[op.query][:, op.query_column : op.query_column + width].astype(np.float64)
    out = np.zeros((len(query), width))
    bound = np.zeros_like(out)
    for row in range(len(query)):
        keys, values = (part.astype(np.float64) for part in seen(case, row))
        for h in range(op.heads):
            columns = slice(h * op.head_width, (h + 1) * op.head_width)
            score, v = keys[:, columns] @ query[row, columns], values[:, columns]
            score = score + added(case, row, h, len(keys))
            weight = weights(case, score, h)
            weight = weight / weight.max()
            off = moved(case, score, weight, h)
            shift = int(case.tensors["context_shift"][h])
            factor = float(case.tensors["context_multiplier"][h]) / 2.0**shift
            mean = weight @ v / weight.sum()
            room = weight.sum() - off
            share = 2 * off / room if room > 0 else 2.0
            out[row, columns] = mean * factor
            slack = np.abs(v).max() * min(share, 2.0) + 128 * 2.0**-28 + 128 / 2**29
            bound[row, columns] = 0.5 + factor * slack + np.abs(mean) / 2.0**shift
    return np.clip(out, -op.limit, op.limit), bound + 1e-6
