"""attention_softmax: close to a softmax in float64.  The bound is derived here."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from int8ref.reference.attention import MAX_KEYS
from int8ref.reference.attention_softmax import AttentionSoftmax, softmax_weigher
from int8ref.spec import arithmetic as a
from int8ref.spec.scope import ProgramError
from tests.ops.attention_cases import DOMAINS, float_attention, operands, self_attention
from tests.ops.cases import Array, Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn, kind: str | None = None) -> Case:
    fields, values, tensors = draw(operands(kind))
    heads, shift = fields["heads"], draw(st.integers(1, 30))
    room = min(2**31 - 1 - 2 ** (shift - 1), (2**14 << shift) + 2 ** (shift - 1) - 1)
    multiplier = draw(integers("int32", (heads,), 1, min(room, 2**31 - 1)))
    if draw(st.booleans()):
        multiplier = np.minimum(multiplier, 2**shift).astype(np.int32)
    more = {"score_multiplier": multiplier, "score_limit": (room // multiplier).astype(np.int32)}
    if draw(st.booleans()):
        more["cap_multiplier"] = draw(integers("int32", (heads,), 1))
        fields["cap_shift"] = draw(st.integers(1, 62) | st.integers(20, 40))
    op = AttentionSoftmax(**fields, **{name: name for name in more}, score_shift=shift)
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
    qkv = np.full((MAX_KEYS, 3), value, np.int8)
    assert set(run_reference(attention_of(qkv))["out"].ravel().tolist()) == {max(value, -127)}


def test_refuses_more_keys_than_fit() -> None:
    with pytest.raises(OverflowError, match="a row sees 1025 keys, not 1 to 1024"):
        run_reference(attention_of(np.zeros((MAX_KEYS + 1, 3), np.int8)))


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
    cap, unit = 100.0, 1.0
    factor = 2 * np.log2(np.e) / cap * unit * 2**20
    weigh = softmax_weigher(
        np.array([2**16], np.int32), np.array([2**14], np.int32), 16,
        np.array([round(factor * 2**10)], np.int32), 10,
    )  # fmt: skip
    for score in (30, 300):
        keys = np.array([[score, 0], [0, 1]], np.int64)
        weight = weigh(np.array([[1, 0]], np.int64), keys, 0)[0]
        distance = round(2**20 * np.tanh(score / cap))
        assert weight[0] == 2**14
        assert weight[1] == a.exp2_negative(np.array(min(distance, 2**14)))
