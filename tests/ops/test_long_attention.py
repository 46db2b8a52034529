"""Attention over more than one block of keys: the same bits, and exact sums of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.reference.attention import BLOCK_KEYS, MAX_KEYS
from int8ref.reference.attention_polynomial import AttentionPolynomial
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.spec.arithmetic import exp2_negative
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


def blocks_of(numbers: list[Any]) -> list[list[Any]]:
    return [numbers[n : n + BLOCK_KEYS] for n in range(0, len(numbers), BLOCK_KEYS)]


def one_power(z: int) -> int:
    """2^20 * 2^(-z / 1024), by the formula of A9 in Python's integers."""
    t, f = 7150, z & 1023
    for coefficient in (-55780, 251070, -726726, 1048576):
        t = coefficient + (t * f >> 10)
    i = z >> 10
    return (t + ((1 << i) >> 1)) >> i


def mean_of_blocks(
    sums: list[int], accs: list[list[int]], far: list[int], shift: int, limit: int
) -> list[int]:
    """The results of a row and head, in Python's integers; context_multiplier is 2^30."""
    total, acc = sums[0], accs[0]
    if len(sums) > 1:
        factor = [one_power(min(z, 22 << 10)) for z in far]
        whole = sum(s * f for s, f in zip(sums, factor, strict=True))
        every = [
            sum(x * f for x, f in zip(c, factor, strict=True)) for c in zip(*accs, strict=True)
        ]
        drop = (whole - 1).bit_length() - 24
        total, *acc = ((x + (1 << drop - 1)) >> drop for x in (whole, *every))
        assert 2**23 <= total <= 2**24
        assert all(-(2**31) <= x < 2**31 for x in acc)
    bits = total.bit_length() + 29
    m, shift = (1 << bits) // total, bits + shift - 30
    return [min(max((x * m + (1 << shift - 1)) >> shift, -limit), limit) for x in acc]


@pytest.mark.parametrize("keys", COUNTS)
def test_softmax_is_its_formula(keys: int) -> None:
    """One row of one head, in Python's integers."""
    random = np.random.default_rng(keys)
    key = (random.integers(-128, 128, (keys, 7)) // random.choice([1, 20], (keys, 1))).astype("i1")
    value = random.integers(-128, 128, (keys, 7)).astype(np.int8)
    query = random.integers(-128, 128, (1, 7)).astype(np.int8)
    case = case_of("softmax", query, key, value)
    scores = blocks_of([sum(map(int.__mul__, k, query[0].tolist())) for k in key.tolist()])
    top = [max(block) for block in scores]
    far = [((max(top) - one) * 3000 + 2**15) >> 16 for one in top]
    sums, accs = [], []
    for block, most, rows in zip(scores, top, blocks_of(value.tolist()), strict=True):
        z = [(min(most - one, 350_000) * 3000 + 2**15) >> 16 for one in block]
        weights = exp2_negative(np.array(z)).tolist()
        sums.append(sum(weights))
        columns = zip(*rows, strict=True)
        accs.append([sum(map(int.__mul__, weights, column)) for column in columns])
    wanted = mean_of_blocks(sums, accs, far, 26, 32767)
    assert run_reference(case)["out"].tolist() == [wanted]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [-128, 127])
def test_the_widest_sums(kind: str, value: int) -> None:
    """As many keys as a row may see, all alike: the largest sums of weights and of values."""
    shape = MAX_KEYS, 1
    query, key = np.ones((1, 1), np.int8), np.ones(shape, np.int8)
    case = case_of(
        kind, query, key, np.full(shape, value, np.int8),
        context_multiplier=np.array([2**31 - 1], np.int32), context_shift=np.array([38], np.int8),
    )  # fmt: skip
    found = run_step(case)["out"]
    np.testing.assert_array_equal(found, run_reference(case)["out"])
    assert found.tolist() == [[(value * (2**31 - 1) + 2**37) >> 38]]


def test_refuses_more_keys_than_positions() -> None:
    some = np.ones((MAX_KEYS + 1, 1), np.int8)
    with pytest.raises(OverflowError, match="a row sees 131073 keys, not 1 to 131072"):
        run_reference(case_of("softmax", some[:1], some, some))


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3000, 30_000]))
def test_many_small_weights_are_not_lost(seed: int, keys: int) -> None:
    """One key has a large score, as the first key of a text often has, and all others have small
    scores, whose weights are below 2^-15 of the largest weight.  Together they count."""
    random = np.random.default_rng(seed)
    key = random.integers(-9, 10, (keys, 15)).astype(np.int8)
    query = np.full((1, 15), 20, np.int8)
    key[0] = 30
    value = random.integers(20, 120, (keys, 15)).astype(np.int8)
    value[0] = -100
    case = case_of(
        "softmax", query, key, value, score_multiplier=np.array([126_000], np.int32),
        score_limit=np.array([8500], np.int32),
    )  # fmt: skip
    score = key.astype(np.float64) @ query[0].astype(np.float64)
    weight = np.exp2((score - score.max()) * 126_000 / 2**26)
    assert np.median(weight) < 2**-15
    wanted = weight @ value / weight.sum() * 16
    found = run_reference(case)["out"][0]
    assert np.abs(found - wanted).max() <= 16 * 200 * (BLOCK_KEYS + 64) * 2.0**-15
    np.testing.assert_array_equal(run_step(case)["out"][0], found)
