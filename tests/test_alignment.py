"""Alignment: integer weights, computed again one query at a time, and the results for users."""

from __future__ import annotations

import itertools
from dataclasses import replace as with_other
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from int8ref.engines.backends import load_engine
from int8ref.engines.engine import Engine
from int8ref.engines.reference import run_instruction
from int8ref.files.model_file import Model
from int8ref.options import Options
from int8ref.program.program import SourceFrame
from int8ref.spec.arithmetic import exp2_negative
from int8ref.translation.alignment import (
    SHARE_BITS,
    AlignmentError,
    aligning_attention,
    alignment_weights,
    describe,
)
from int8ref.translator import Translator
from tests.helpers.models import build_tiny_model
from tests.helpers.real_models import imported

MODEL = build_tiny_model(2)
TOKENS = st.integers(1, len(MODEL.tensors["embeddings"]) - 1)
SOURCES = st.lists(TOKENS, max_size=8).map(lambda ids: [*ids, 0])
TARGETS = st.lists(TOKENS, max_size=8)


@cache
def engine(backend: Any) -> Engine:
    return load_engine(MODEL.program, MODEL.tensors, backend)


def weights_of_a_head(source: list[int], target: list[int], head: int) -> list[list[int]]:
    """Evaluate the formula of `attention_softmax` in unbounded integers, one step at a time."""
    attention: Any = next(i for i in MODEL.program.decoder if "cross.mix" in i.names("result"))
    seen: dict[str, Any] = {}
    session = engine("reference").session([source], seen.__setitem__)
    rows = []
    for token in [MODEL.program.start, *target][: len(target)]:
        session.step(np.array([token], np.int32))
        width = attention.head_width
        first = head * width
        query = seen[attention.query][0].tolist()[first : first + width]
        keys = [key[first : first + width] for key in seen[attention.key].tolist()]
        scores = [sum(q * k for q, k in zip(query, key, strict=True)) for key in keys]
        limit = int(MODEL.tensors[attention.score_limit][head])
        multiplier = int(MODEL.tensors[attention.score_multiplier][head])
        half = 1 << (attention.score_shift - 1)
        distances = [
            (min(max(scores) - score, limit) * multiplier + half) >> attention.score_shift
            for score in scores
        ]
        rows.append([int(exp2_negative(np.array([d]))[0]) for d in distances])
    return rows


@settings(max_examples=15)
@given(st.lists(st.tuples(SOURCES, st.lists(TARGETS, max_size=3)), min_size=1, max_size=3))
def test_weights_are_those_of_the_attention(
    batch: list[tuple[list[int], list[list[int]]]],
) -> None:
    """A source has several targets of any length.  A target may be empty."""
    sources = [source for source, _ in batch]
    pairs = [(owner, t) for owner, (_, targets) in enumerate(batch) for t in targets]
    found = alignment_weights(
        engine("reference"), MODEL.tensors, sources, [o for o, _ in pairs], [t for _, t in pairs]
    )
    assert len(found) == len(pairs)
    for weights, (owner, target) in zip(found, pairs, strict=True):
        assert weights.shape == (len(target), len(sources[owner]))
        head = weights_of_a_head(sources[owner], target, 0)
        assert weights.tolist() == [[(p << SHARE_BITS) // sum(row) for p in row] for row in head]


@pytest.mark.parametrize(
    "model", [MODEL, build_tiny_model(6, "translation")], ids=lambda model: model.name
)
def test_weights_are_those_that_mix_the_values(model: Model) -> None:
    """Key k has the value 127 in column k.  Therefore the context of a head shows its weights."""
    source, target = [5, 9, 3, 12, 4, 0], [7, 11, 6, 6]
    attention, heads = aligning_attention(model.program)
    engine = load_engine(model.program, model.tensors, "reference")
    (weights,) = alignment_weights(engine, model.tensors, [source], [0], [target])
    width = attention.head_width
    assert width >= len(source)
    values = np.zeros((len(source), attention.value_column + width * attention.heads), np.int8)
    for key, head in itertools.product(range(len(source)), range(attention.heads)):
        values[key, attention.value_column + head * width + key] = 127
    even = {
        attention.context_multiplier: np.full(attention.heads, 1 << 30, np.int32),
        attention.context_shift: np.full(attention.heads, 30, np.int8),
    }
    seen: dict[str, Any] = {"target.sentence": np.zeros(1, np.int32)}
    seen["source.offsets"] = np.array([0, len(source)], np.int32)
    session = engine.session([source], seen.__setitem__)
    for token, row in zip([model.program.start, *target], weights, strict=False):
        session.step(np.array([token], np.int32))
        mixing = replace(attention, value="values")
        mixed = run_instruction(mixing, {**seen, "values": values}, {**model.tensors, **even})
        shares = mixed[attention.out].reshape(attention.heads, width)[heads, : len(source)]
        np.testing.assert_allclose(row / row.sum(), shares.mean(axis=0) / 127, atol=1 / 127)


def test_the_mean_of_all_heads_where_none_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    attention, heads = aligning_attention(MODEL.program)
    assert (attention.out, list(heads)) == ("cross.mix", [0])
    plain = [i for i in MODEL.program.decoder if i.op != "ssru"]
    assert list(aligning_attention(replace(MODEL.program, decoder=plain))[1]) == [0, 1]
    monkeypatch.setattr(
        "int8ref.translation.alignment.aligning_attention", lambda program: (attention, [0, 1])
    )
    source, target = [5, 9, 3, 0], [7, 11]
    (found,) = alignment_weights(engine("reference"), MODEL.tensors, [source], [0], [target])
    heads_of = [weights_of_a_head(source, target, head) for head in (0, 1)]
    expected = [
        [sum((row[j] << SHARE_BITS) // sum(row) for row in rows) for j in range(len(source))]
        for rows in zip(*heads_of, strict=True)
    ]
    assert found.tolist() == expected


def test_both_backends_give_the_same_weights() -> None:
    sources = [[5, 9, 3, 0], [7, 0], [12, 4, 4, 8, 0]]
    targets = [[3, 4], [], [9], [5, 5, 5, 5, 2], [1]]
    both = [
        alignment_weights(engine(backend), MODEL.tensors, sources, [0, 0, 1, 2, 2], targets)
        for backend in ("reference", "compiled")
    ]
    for one, two in zip(*both, strict=True):
        np.testing.assert_array_equal(one, two)


@given(
    st.lists(st.lists(st.integers(0, 2**31), min_size=4, max_size=4), max_size=5),
    st.sampled_from(
        [SourceFrame(after=(0,)), SourceFrame((1,), (0,)), SourceFrame((1, 2), ()), SourceFrame()]
    ),
)
def test_what_is_told_of_weights(rows: list[list[int]], frame: SourceFrame) -> None:
    rows = [[*row[:3], row[3] + 1] for row in rows]
    weights = np.array(rows, np.int64).reshape(-1, 4)
    soft = describe(weights, "soft", frame)
    assert describe(weights, "hard", frame) == with_other(soft, weights=None, before=0)
    assert soft.before == len(frame.before)
    own = slice(len(frame.before), 4 - len(frame.after))
    assert [target for _, target in soft.points] == list(range(len(rows)))
    assert soft.weights is not None
    for (best, _), told, row in zip(soft.points, soft.weights, rows, strict=True):
        assert best == row[own].index(max(row[own])), "the first of the largest of the text"
        assert abs(sum(told, Decimal(-1))) <= Decimal("0.000002")
        ranked = sorted(zip(row, told, strict=True))
        assert [share for _, share in ranked] == sorted(told)


def test_a_model_without_attention_to_the_source_says_so() -> None:
    blind = [i for i in MODEL.program.decoder if "cross.mix" not in i.names("result")]
    with pytest.raises(AlignmentError, match="no attention to the source"):
        aligning_attention(replace(MODEL.program, decoder=blind))


@pytest.mark.parametrize(
    ("name", "source", "pairs"),
    [
        (
            "en-pt", "The European Parliament saw the two red cats.",
            {"Parliament": "Parlamento", "European": "Europeu", "two": "dois", "cat": "gato"},
        ),
        (
            "pt-en", "O Parlamento Europeu viu dois gatos vermelhos.",
            {"Parlamento": "Parliament", "Europeu": "European", "dois": "two", "gato": "cat"},
        ),
    ],
)  # fmt: skip
def test_real_models_align_words_with_their_translations(
    name: str, source: str, pairs: dict[str, str]
) -> None:
    """Another head, layer, column or step would lose some of the pairs."""
    result = Translator(imported(name)).translate(source, Options(alignment="hard"))
    assert result.alignment is not None
    found = {
        result.source_tokens[s].removeprefix("▁"): result.tokens[t].removeprefix("▁")
        for s, t in result.alignment.points
    }
    assert {word: found.get(word) for word in pairs} == pairs
