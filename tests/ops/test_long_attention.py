"""Attention over more than one block of keys: the same bits, and exact sums of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from int8ref.reference.attention_polynomial import AttentionPolynomial
from int8ref.reference.attention_softmax import AttentionSoftmax
from tests.ops.attention_cases import DOMAINS
from tests.ops.cases import Array, Case, run_reference, run_step

COUNTS = [1023, 1024, 1025, 2048, 2049, 5000]
KINDS = {"softmax": AttentionSoftmax, "polynomial": AttentionPolynomial}


def case_of(
    kind: str, query: Array, key: Array, value: Array, *, group: int = 1, **more: Any
) -> Case:
    """Return attention of rows to histories [rows, keys, width], or to one source [keys, width]."""
    heads, history = group * (2 if key.shape[-1] % 2 == 0 else 1), key.ndim == 3
    width = query.shape[1] // heads
    own: dict[str, Any] = {
        "context_multiplier": np.full(heads, 1 << 30, np.int32),
        "context_shift": np.full(heads, 26, np.int8),
    }
    if kind == "softmax":
        own |= {"score_multiplier": np.full(heads, 3000, np.int32)}
        own |= {"score_limit": np.full(heads, 350_000, np.int32)}
        fields: dict[str, Any] = {"score_shift": 16}
    else:
        own |= {"score_bias": np.full(heads, 300, np.int32)}
        own |= {"score_shift": np.zeros(heads, np.int8)}
        own |= {"delta_multiplier": np.full(heads, 1 << 20, np.int32)}
        own |= {"delta_shift": np.full(heads, 10, np.int8)}
        fields = {"degree": 2}
    tensors = {name: more.pop(name, array) for name, array in own.items()}
    fields |= {name: name for name in tensors} | {"limit": 32767, "group": group} | more
    values = {"query": query, "history" if history else "key": key}
    if not history:
        values |= {"value": value, "source.offsets": np.array([0, len(key)], np.int32)}
        values["target.sentence"] = np.zeros(len(query), np.int32)
        fields |= {"sentence": "target.sentence", "key_offsets": "source.offsets"}
    else:
        values["history"] = np.concatenate([key, value], axis=2)
    places = {"key": "history", "value": "history"} if history else {"key": "key", "value": "value"}
    op = KINDS[kind](
        query="query", out="out", heads=heads, head_width=width, query_column=0, key_column=0,
        value_column=key.shape[2] if history else 0, **places, **fields,
    )  # fmt: skip
    return Case(op, values, tensors, DOMAINS)


def drawn(kind: str, keys: int, seed: int, history: bool, **more: Any) -> Case:
    """Return a case of random numbers, with a few keys that are much larger than the others."""
    random, shape = np.random.default_rng(seed), ((2,) if history else ()) + (keys, 32)
    large = random.random((*shape[:-1], 1)) < random.choice([0.001, 0.3])
    key = (random.integers(-128, 128, shape) // np.where(large, 1, 9)).astype(np.int8)
    value = random.integers(-128, 128, shape).astype(np.int8)
    group = int(random.integers(1, 3))
    query = random.integers(-128, 128, (2, 32 * group)).astype(np.int8)
    return case_of(kind, query, key, value, group=group, **more)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", COUNTS)
@pytest.mark.parametrize("form", ["source", "history", "window"])
def test_same_bits(kind: str, keys: int, form: str) -> None:
    more = {"window": keys - 700} if form == "window" else {}
    case = drawn(kind, keys, keys, form != "source", **more)
    np.testing.assert_array_equal(run_step(case)["out"], run_reference(case)["out"])
