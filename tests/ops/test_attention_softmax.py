"""attention_softmax: close to a softmax in float64.  The bound is derived here."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from int8ref.reference.attention import BLOCK_KEYS
from int8ref.reference.attention_softmax import AttentionSoftmax, cap, softmax_weigher
from int8ref.spec import arithmetic as a
from int8ref.spec.arithmetic import EXP2_ONE, INT32_MAX, exp2_negative, rounding_shift_right
from int8ref.spec.scope import ProgramError
from tests.ops.attention_cases import (
    DOMAINS,
    added,
    float_attention,
    operands,
    place,
    seen,
    self_attention,
)
from tests.ops.cases import Array, Case, integers, run_reference, run_step


@st.composite
def cases(draw: st.DrawFn, kind: str | None = None) -> Case:
    fields, values, tensors = draw(operands(kind))
    heads, shift = fields["heads"], draw(st.integers(1, 30))
    room = min(2**31 - 1 - 2 ** (shift - 1), (2**14 << shift) + 2 ** (shift - 1) - 1)
    multiplier = draw(integers("int32", (heads,), 1, min(room, 2**31 - 1)))
    if draw(st.booleans()):
        multiplier = np.minimum(multiplier, 2**shift).astype(np.int32)
    more = {"score_multiplier": multiplier, "score_limit": (room // multiplier).astype(np.int32)}
    reach: dict[str, int] = {}
    if fields.get("sentence") != "target.sentence" and draw(st.booleans()):
        reach = {"before": draw(st.integers(0, 8)), "after": draw(st.integers(0, 8))}
        most = draw(st.sampled_from([20, 1000, INT32_MAX // 2 - 2**14 * fields["head_width"]]))
        shape = (heads, reach["before"] + 1 + reach["after"])
        more["addend"] = draw(integers("int32", shape, -most, most))
    elif draw(st.booleans()):
        more["cap_multiplier"] = draw(integers("int32", (heads,), 1))
        fields["cap_shift"] = draw(st.integers(1, 62) | st.integers(20, 40))
    op = AttentionSoftmax(**fields, **{name: name for name in more}, **reach, score_shift=shift)
    return Case(op, values, tensors | more, DOMAINS)


def octave(case: Case, h: int) -> float:
    """Return the unit of the score, in powers of two of the weight."""
    shift: int = case.instruction.score_shift  # type: ignore[attr-defined]
    return float(case.tensors["score_multiplier"][h]) / 2**shift / 2**10


def weights(case: Case, score: Array, h: int) -> Array:
    score = capped(case, score, h)
    found: Array = np.exp2((score - score.max()) * octave(case, h))
    return found


def capped(case: Case, score: Array, h: int) -> Array:
    """Return the capped scores in units of 2^-20 of the cap, by NumPy's tangent."""
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    if not isinstance(op.cap_shift, int):
        return score
    factor = float(case.tensors["cap_multiplier"][h]) / 2.0**op.cap_shift / 2**20
    found: Array = 2**20 * np.tanh(score * factor * np.log(2) / 2)
    return found


def moved(case: Case, score: Array, weight: Array, h: int) -> float:
    """Bound the difference of the weights of a row, in units of the largest weight.

    z has an error of half of 2^-10 octaves.  Therefore a weight has an error of 2^(1/2048) - 1 <
    0.00034.  The rounding of a weight adds 0.545 of 2^-14.  A score beyond the limit has a true
    weight below 2^-14 if the limit is at least 14 octaves.
    """
    limit = float(case.tensors["score_limit"][h]) * octave(case, h)
    cut = max(2.0**-14 * 1.545, 2.0**-limit if limit < 14 else 0.0)
    # A capped score has an error of 0.8 units, and so has the largest one.
    rounding = 0.00034
    if "cap_multiplier" in case.tensors:
        rounding = float(np.exp2(min(1.6 * octave(case, h) + 2**-11, 60))) - 1
    return float(rounding * weight.sum() + len(weight) * cut)


@given(cases())
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    exact, bound = float_attention(case, weights, moved)
    found = run_reference(case)["out"]
    assert (np.abs(found - exact) <= bound).all()


def attention_of(qkv: Array, multiplier: int = 1 << 12, limit: int = 1 << 18) -> Case:
    tensors = {"score_multiplier": (multiplier, np.int32), "score_limit": (limit, np.int32)}
    return self_attention(AttentionSoftmax, qkv, tensors, score_shift=16)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.01, 0.1, 0.5]))
def test_within_two_units_on_rows_as_models_have_them(
    seed: int, keys: int, temperature: float
) -> None:
    """Up to 60 keys, 32 columns a head.  The outputs have the scale of the values."""
    random = np.random.default_rng(seed)
    multiplier = max(1, round(temperature / np.sqrt(32) / np.log(2) * 2**26))
    qkv = random.integers(-127, 128, (keys, 3 * 32)).astype(np.int8)
    case = attention_of(qkv, multiplier, limit=2**30 // multiplier)
    exact, _ = float_attention(case, weights, moved)
    assert np.abs(run_reference(case)["out"] - exact).max() <= 2


@given(integers("int8", (1, 24), -127))
def test_a_single_key_gives_its_value(qkv: Array) -> None:
    assert run_reference(attention_of(qkv))["out"].tolist() == qkv[:, 16:].tolist()


@pytest.mark.parametrize("value", [-128, 127])
def test_the_longest_sentence_of_extreme_values(value: int) -> None:
    """1024 equal keys: the sum of weights times -128 is exactly the smallest int32."""
    qkv = np.full((BLOCK_KEYS, 3), value, np.int8)
    assert set(run_reference(attention_of(qkv))["out"].ravel().tolist()) == {max(value, -127)}


@given(cases())
def test_other_sentences_and_histories_change_nothing(case: Case) -> None:
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    whole = run_reference(case)["out"]
    values = dict(case.values)
    if op.sentence is None:
        same = np.arange(len(whole)) == 0
        kept: Any = 0
    else:
        offsets, sentence = case.values["source.offsets"], case.values[op.sentence]
        same = sentence == sentence[0]
        kept = slice(offsets[sentence[0]], offsets[sentence[0] + 1])
    for name in {op.key, op.value} - {op.query}:
        changed = np.full_like(values[name], 77)
        changed[kept] = values[name][kept]
        values[name] = changed
    alone = run_reference(Case(op, values, case.tensors, case.domains))["out"]
    np.testing.assert_array_equal(alone[same], whole[same])


@given(cases("history"))
def test_a_history_is_a_sentence_of_its_own(case: Case) -> None:
    """The same keys, stored as a source with one sentence for each row."""
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    assume(not isinstance(op.addend, str))
    history = case.values["history"]
    window = op.window or history.shape[1]
    history = np.ascontiguousarray(history[:, -window:])
    rows, steps, width = history.shape
    source = AttentionSoftmax(
        **{name: content for name, _, content in op.operands() if content is not None}
        | {"window": msgspec.UNSET, "sentence": "target.sentence", "key_offsets": "source.offsets"}
        | {"key": "key", "value": "key"}
    )
    values = {
        "query": case.values["query"],
        "key": history.reshape(rows * steps, width),
        "target.sentence": np.arange(rows, dtype=np.int32),
        "source.offsets": np.arange(0, rows * steps + 1, steps, dtype=np.int32),
    }
    found = run_reference(Case(source, values, case.tensors, case.domains))["out"]
    np.testing.assert_array_equal(found, run_reference(case)["out"])


@settings(max_examples=40)
@given(cases())
def test_the_weights_are_those_of_the_formula(case: Case) -> None:
    """Every result, by Python integers, one key after another."""
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    found = run_reference(case)["out"]
    queries = case.values[op.query][:, op.query_column :].tolist()
    for row, query in enumerate(queries):
        keys, values = seen(case, row)
        for h in range(op.heads):
            first = h * op.head_width
            columns = range(first, first + op.head_width)
            more = added(case, row, h, len(keys))
            scores = [
                sum(query[c] * int(key[c]) for c in columns) + one
                for key, one in zip(keys, more, strict=True)
            ]
            if isinstance(op.cap_shift, int):
                m = int(case.tensors["cap_multiplier"][h])
                found_caps = a.soft_cap(np.array(scores), m, op.cap_shift)
                scores = ((found_caps + 2**9) >> 10).tolist()
            limit, factor = (
                int(case.tensors[name][h]) for name in ("score_limit", "score_multiplier")
            )
            far = np.array([min(max(scores) - score, limit) * factor for score in scores])
            weights = exp2_negative(rounding_shift_right(far, op.score_shift)).tolist()
            assert max(weights) == EXP2_ONE
            total = sum(weights)
            bits = total.bit_length() + 29
            m = (2**bits // total * int(case.tensors["context_multiplier"][h])) >> 30
            shift = bits + int(case.tensors["context_shift"][h]) - 30
            for c in columns:
                mean = sum(w * int(v) for w, v in zip(weights, values[:, c], strict=True)) * m
                wanted = (mean + 2 ** (shift - 1)) >> shift
                assert found[row, c] == min(max(wanted, -op.limit), op.limit)


@settings(max_examples=40)
@given(cases("self"))
def test_a_row_of_a_history_is_the_last_row_of_a_sentence(case: Case) -> None:
    """Addends are by distance, thus the last row of a sentence and a history have the same ones."""
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    whole = run_reference(case)["out"]
    offsets, qkv = case.values["source.offsets"], case.values["qkv"]
    fields = {name: content for name, _, content in op.operands() if content is not None}
    fields |= {"query": "query", "key": "history", "value": "history"}
    history = AttentionSoftmax(**{k: fields[k] for k in fields if k not in FRAME})
    for b in range(len(offsets) - 1):
        last = offsets[b + 1] - 1
        values = {"query": qkv[last : last + 1], "history": qkv[None, offsets[b] : offsets[b + 1]]}
        assert place(case, last) == values["history"].shape[1] - 1
        found = run_reference(Case(history, values, case.tensors, DOMAINS))["out"]
        np.testing.assert_array_equal(found[0], whole[last])


FRAME = ("sentence", "key_offsets")


def with_addend(qkv: Array, addend: list[list[int]], before: int, after: int) -> Case:
    case = attention_of(qkv)
    fields = {n: x for n, _, x in case.instruction.operands() if x is not None}
    op = AttentionSoftmax(**fields | {"addend": "addend", "before": before, "after": after})
    tensors = case.tensors | {"addend": np.array(addend, np.int32)}
    return Case(op, case.values, tensors, DOMAINS)


def test_a_window_hides_what_lies_outside() -> None:
    """Addends that fall by 2^30 leave the keys of a window alone: here, one key on each side."""
    random = np.random.default_rng(0)
    qkv = random.integers(-127, 128, (40, 24)).astype(np.int8)
    case = with_addend(qkv, [[-(2**30), 0, 0, 0, -(2**30)]], 2, 2)
    found = run_reference(case)["out"]
    for row in range(1, 39):
        window = attention_of(qkv[row - 1 : row + 2])
        np.testing.assert_array_equal(found[row], run_reference(window)["out"][1])
    np.testing.assert_array_equal(run_step(case)["out"], found)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 1023), (1023, 5)])
def test_the_longest_sentence(before: int, after: int) -> None:
    random = np.random.default_rng(before + after)
    qkv = random.integers(-127, 128, (BLOCK_KEYS, 24)).astype(np.int8)
    table = random.integers(-50000, 50000, (1, before + 1 + after)).tolist()
    case = with_addend(qkv, table, before, after)
    np.testing.assert_array_equal(run_step(case)["out"], run_reference(case)["out"])


def test_the_largest_addends_of_the_largest_scores() -> None:
    """The largest difference of two scores is 2^31 - 1."""
    low, high = -(2**30) + 2**14 * 4, 2**30 - 2**14 * 4 - 1
    qkv = np.full((3, 12), -128, np.int8)
    qkv[1:, 4:8] = 127
    for addend in ([low, high], [high, low]):
        case = with_addend(qkv, [addend], 1, 0)
        np.testing.assert_array_equal(run_step(case)["out"], run_reference(case)["out"])
    with pytest.raises(ProgramError, match="scores may reach 2147483648, over 32 bits"):
        with_addend(qkv, [[low, high + 1]], 1, 0).types()
    with pytest.raises(ProgramError, match="over 32 bits"):
        with_addend(qkv, [[-(2**31), -(2**31)]], 1, 0).types()


def test_refuses_addends_without_a_place_or_a_reach() -> None:
    case = with_addend(np.ones((2, 3), np.int8), [[1, 2]], 1, 0)
    fields = {n: x for n, _, x in case.instruction.operands() if x is not None}
    for name in ("addend", "before", "after"):
        op = AttentionSoftmax(**{k: x for k, x in fields.items() if k != name})
        with pytest.raises(ProgramError, match=r"need each other|wanted"):
            Case(op, case.values, case.tensors, DOMAINS).types()
    op = AttentionSoftmax(**fields | {"after": 1})
    with pytest.raises(ProgramError, match=r"wanted \[1, 3\]"):
        Case(op, case.values, case.tensors, DOMAINS).types()
    target = {"target.sentence": np.zeros(2, np.int32), "query": np.ones((2, 3), np.int8)}
    op = AttentionSoftmax(**fields | {"sentence": "target.sentence", "query": "query"})
    with pytest.raises(ProgramError, match="rows of the target have no place in a source"):
        Case(op, case.values | target, case.tensors, DOMAINS).types()


def test_an_absent_addend_adds_nothing() -> None:
    qkv = np.random.default_rng(3).integers(-127, 128, (9, 24)).astype(np.int8)
    plain = run_reference(attention_of(qkv))["out"]
    same = with_addend(qkv, [[7] * 4], 2, 1)
    np.testing.assert_array_equal(run_reference(same)["out"], plain)
    np.testing.assert_array_equal(run_step(same)["out"], plain)


def test_refuses_a_window_of_a_source_and_half_a_cap() -> None:
    case = attention_of(np.zeros((2, 3), np.int8))
    for fields, message in (
        ({"window": 2}, "a window is of a history"),
        ({"cap_shift": 9}, "cap_multiplier and cap_shift need each other"),
        ({"cap_multiplier": "score_limit"}, "cap_multiplier and cap_shift need each other"),
        ({"cap_multiplier": "score_limit", "cap_shift": 63}, "cap_shift is 63, outside"),
    ):
        op = replace(case.instruction, **fields)
        with pytest.raises(ProgramError, match=message):
            Case(op, case.values, case.tensors, case.domains).types()


def test_a_cap_keeps_small_scores_and_limits_large_ones() -> None:
    """Scores of 30 and 300 at a cap of 100: the first stays nearly the same."""
    limit = 100.0
    factor = 2 * np.log2(np.e) / limit * 2**20
    weigh = softmax_weigher(
        np.array([2**16], np.int32), np.array([2**14], np.int32), 16,
        cap(np.array([round(factor * 2**10)], np.int32), 10),
    )  # fmt: skip
    for score in (30, 300):
        keys = np.array([[score, 0], [0, 1]], np.int64)
        weight = weigh(np.array([[1, 0]], np.int64), keys, 0, np.array([0])).weight[0]
        distance = round(2**20 * np.tanh(score / limit))
        assert weight[0] == 2**14
        assert weight[1] == a.exp2_negative(np.array(min(distance, 2**14)))
