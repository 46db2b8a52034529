"""attention_softmax: against a softmax in float64, within a bound that is derived here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.instruction import Domain
from int8ref.reference.attention_softmax import MAX_KEYS, AttentionSoftmax
from tests.ops.cases import Array, Case, integers, run_reference

DOMAINS: list[Domain] = ["source", "target"]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    keys, offsets = sum(lengths), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    domain = draw(st.sampled_from(DOMAINS))
    sentence = (
        np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        if domain == "source"
        else draw(integers("int32", (draw(st.integers(1, 6)),), 0, len(lengths) - 1))
    )
    heads, head_width = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    width = heads * head_width
    columns: dict[str, Any] = {
        f"{part}_column": draw(st.integers(0, 5)) for part in ("query", "key", "value")
    }
    if domain == "source" and draw(st.booleans()):  # one value holds all three
        shared = integers("int8", (keys, max(columns.values()) + width))
        values = {"qkv": draw(shared)}
        names: dict[str, Any] = dict.fromkeys(("query", "key", "value"), "qkv")
    else:
        rows = {"query": len(sentence), "key": keys, "value": keys}
        values = {
            part: draw(integers("int8", (n, columns[f"{part}_column"] + width)))
            for part, n in rows.items()
        }
        names = {part: part for part in rows}
    shift = draw(st.integers(1, 30))
    room = min(2**31 - 1 - 2 ** (shift - 1), (2**14 << shift) + 2 ** (shift - 1) - 1)
    score_multiplier = draw(integers("int32", (heads,), 1, min(room, 2**31 - 1)))
    if draw(st.booleans()):
        score_multiplier = np.minimum(score_multiplier, 2**shift).astype(np.int32)
    name = f"{domain}.sentence"
    return Case(
        AttentionSoftmax(
            sentence=name,
            key_offsets="source.offsets",
            heads=heads,
            head_width=head_width,
            score_multiplier="score_multiplier",
            score_limit="score_limit",
            score_shift=shift,
            context_multiplier="context_multiplier",
            context_shift="context_shift",
            out="out",
            **names,
            **columns,
        ),
        {**values, name: sentence, "source.offsets": offsets},
        {
            "score_multiplier": score_multiplier,
            "score_limit": (room // score_multiplier).astype(np.int32),
            "context_multiplier": draw(integers("int32", (heads,), 1)),
            "context_shift": draw(integers("int8", (heads,), 22, 38)),
        },
        {
            "source.offsets": "sentence",
            name: domain,
            "query": domain,
            "qkv": "source",
            "key": "source",
            "value": "source",
        },
    )


def float_attention(case: Case) -> tuple[Array, Array]:
    """(out before rounding, an upper bound of |integer - it|), in float64.

    Against the exact softmax of the same integer operands, in units of out:

        z has an error of 1/2 of 2^-10 octaves, so a weight one of 2^(1/2048) - 1 < 0.00034;
        a weight rounds by 0.545 of 2^-14; a score beyond the limit has a true weight below 2^-14
        where the limit is at 14 octaves or more.

    With w the exact weights (largest 1), S their sum >= 1 and n keys, both the numerator and the
    denominator move by at most d = 0.00034 * S + n * u / 2^14, with u = 0.545 or 1.545 beyond the
    limit; so the mean moves by at most 2 * d / (S - d) times max |value|.  The factor is known to
    2^-28, and the result is rounded once.
    """
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    offsets, sentence = case.values["source.offsets"], case.values[op.sentence]
    parts = [
        case.values[name][:, column : column + op.heads * op.head_width].astype(np.float64)
        for name, column in (
            (op.query, op.query_column),
            (op.key, op.key_column),
            (op.value, op.value_column),
        )
    ]
    out = np.zeros((len(sentence), op.heads * op.head_width))
    bound = np.zeros_like(out)
    for row, b in enumerate(sentence):
        keys = slice(offsets[b], offsets[b + 1])
        for h in range(op.heads):
            columns = slice(h * op.head_width, (h + 1) * op.head_width)
            q, k, v = parts[0][row, columns], parts[1][keys, columns], parts[2][keys, columns]
            score = k @ q
            octave = float(case.tensors["score_multiplier"][h]) / 2**op.score_shift / 2**10
            weight = np.exp2((score - score.max()) * octave)
            limit = float(case.tensors["score_limit"][h]) * octave
            cut = max(2.0**-14 * 1.545, 2.0**-limit if limit < 14 else 0.0)
            moved = 0.00034 * weight.sum() + len(weight) * cut
            factor = float(case.tensors["context_multiplier"][h]) / 2.0 ** int(
                case.tensors["context_shift"][h]
            )
            mean = weight @ v / weight.sum()
            room = weight.sum() - moved
            share = 2 * moved / room if room > 0 else 2.0
            out[row, columns] = mean * factor
            slack = np.abs(v).max() * min(share, 2.0) + 128 * 2.0**-28 + 128 / 2**29
            bound[row, columns] = (
                0.5 + factor * slack + np.abs(mean) / 2.0 ** int(case.tensors["context_shift"][h])
            )
    return out, bound + 1e-6


@given(cases())
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    exact, bound = float_attention(case)
    found = run_reference(case)["out"]
    assert (np.abs(found - np.clip(exact, -127, 127)) <= bound).all()


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.01, 0.1, 0.5]))
def test_within_two_units_on_rows_as_models_have_them(
    seed: int, keys: int, temperature: float
) -> None:
    """Up to 60 keys, 32 columns a head, outputs on the scale of the values."""
    random = np.random.default_rng(seed)
    octave = temperature / np.sqrt(32) / np.log(2)
    multiplier = max(1, round(octave * 2**26))
    case = attention_of(
        random.integers(-127, 128, (keys, 3 * 32)).astype(np.int8),
        multiplier=multiplier,
        limit=2**30 // multiplier,
    )
    exact, _ = float_attention(case)
    assert np.abs(run_reference(case)["out"] - np.clip(exact, -127, 127)).max() <= 2


def attention_of(qkv: Array, multiplier: int = 1 << 12, limit: int = 1 << 18) -> Case:
    """Self-attention of one head over one sentence; the output is on the scale of the values."""
    keys, width = len(qkv), qkv.shape[1] // 3
    return Case(
        AttentionSoftmax(
            query="qkv", key="qkv", value="qkv", sentence="source.sentence",
            key_offsets="source.offsets", heads=1, head_width=width, query_column=0,
            key_column=width, value_column=2 * width, score_multiplier="score_multiplier",
            score_limit="score_limit", score_shift=16, context_multiplier="context_multiplier",
            context_shift="context_shift", out="out",
        ),
        {
            "qkv": qkv,
            "source.sentence": np.zeros(keys, np.int32),
            "source.offsets": np.array([0, keys], np.int32),
        },
        {
            "score_multiplier": np.array([multiplier], np.int32),
            "score_limit": np.array([limit], np.int32),
            "context_multiplier": np.array([1 << 30], np.int32),
            "context_shift": np.array([30], np.int8),
        },
        {"qkv": "source", "source.sentence": "source", "source.offsets": "sentence"},
    )  # fmt: skip


@given(integers("int8", (1, 24), -127))
def test_a_single_key_gives_its_value(qkv: Array) -> None:
    assert run_reference(attention_of(qkv))["out"].tolist() == qkv[:, 16:].tolist()


@pytest.mark.parametrize("value", [-128, 127])
def test_the_longest_sentence_of_extreme_values(value: int) -> None:
    """1024 equal keys: the sum of weights times -128 is exactly the smallest int32."""
    qkv = np.full((MAX_KEYS, 3), value, np.int8)
    assert set(run_reference(attention_of(qkv))["out"].ravel().tolist()) == {max(value, -127)}


def test_refuses_more_keys_than_fit() -> None:
    with pytest.raises(OverflowError, match="sentence 0 has 1025 keys, not 1 to 1024"):
        run_reference(attention_of(np.zeros((MAX_KEYS + 1, 3), np.int8)))


@given(cases())
def test_other_sentences_change_nothing(case: Case) -> None:
    op: AttentionSoftmax = case.instruction  # type: ignore[assignment]
    offsets, sentence = case.values["source.offsets"], case.values[op.sentence]
    whole = run_reference(case)["out"]
    keep = int(sentence[0])
    values = dict(case.values)
    for name in {op.key, op.value} - {op.query}:
        changed = np.full_like(values[name], 77)
        changed[offsets[keep] : offsets[keep + 1]] = values[name][offsets[keep] : offsets[keep + 1]]
        values[name] = changed
    alone = run_reference(Case(op, values, case.tensors))["out"]
    np.testing.assert_array_equal(alone[sentence == keep], whole[sentence == keep])
