"""Adjustments of logits: an oracle in fractions, both engines, all searches, any neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import e, floor, log2
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from int8ref.reference.log_softmax import LogSoftmax
from int8ref.search.adjustments import NEUTRAL, Adjustments
from int8ref.search.greedy import greedy
from int8ref.search.hypothesis import Sampling
from int8ref.search.logits import LOG2_E, Logits, amount
from int8ref.search.request import Request
from int8ref.search.sampling import weights
from tests.helpers.adjusting import adjustments_of
from tests.helpers.models import Kind
from tests.helpers.searches import SIZES, beam_options, candidates_of
from tests.helpers.tiny_engines import MODELS, VOCABULARY, both, sources_of
from tests.search.oracle import EOS, TableEngine, tables

samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([1, 100, 300]),
    top_k=st.sampled_from([0, 2]),
    top_p=st.sampled_from([100, 60]),
    min_p=st.sampled_from([0, 1, 50, 100]),
    seed=st.integers(0, 9),
)
tokens = st.lists(st.integers(0, VOCABULARY - 1), max_size=5)


def requests_of(kind: Kind, trees: bool = True) -> st.SearchStrategy[list[Request]]:
    """Draw requests of which some have adjustments, and some candidates if there are no trees."""
    adjusted = st.none() | adjustments_of(VOCABULARY, trees)
    request = st.builds(
        Request,
        ids=sources_of(kind),
        limit=st.integers(1, 8),
        prefix=tokens,
        candidates=st.none() if trees else st.none() | candidates_of(VOCABULARY),
        number=st.integers(0, 9),
        adjustments=adjusted,
    )
    return st.lists(request, min_size=1, max_size=4)


def rounded(x: Fraction) -> int:
    """Round half up."""
    return floor(x + Fraction(1, 2))


def expected(
    logits: Sequence[int],
    softmax: LogSoftmax,
    prefix: Sequence[int],
    chosen: Sequence[int],
    adjusted: Adjustments,
) -> dict[int, int]:
    """The tokens and logits that a search sees, in fractions.  The only end mark is `EOS`."""
    allowed = set(range(len(logits)))
    if adjusted.continuations:
        size = len(chosen)
        begun = [c for c in adjusted.continuations if list(c[:size]) == list(chosen)]
        allowed = {c[size] for c in begun if len(c) > size}
        allowed |= {EOS for c in begun if len(c) == size}
    unit = Fraction(softmax.multiplier, 2 ** (softmax.shift + 20))
    nat = Fraction(LOG2_E, 2**30) / 100 / unit

    def units(hundredths: int) -> int:
        size = min(rounded(abs(hundredths) * nat), 2**31 - 1)
        return size if hundredths >= 0 else -size

    found = {}
    for n in allowed:
        x = logits[n]
        if n in [*prefix, *chosen]:
            factor = Fraction(adjusted.repetition, 100)
            x = rounded(x / factor if x > 0 else x * factor)
        count = list(chosen).count(n)
        if count:
            x -= units(adjusted.presence) + count * units(adjusted.frequency)
        x += units(dict(adjusted.bias).get(n, 0))
        found[n] = max(-(2**31), min(x, 2**31 - 1))
    text = [*prefix, *chosen]

    def repeats(n: int) -> bool:
        grams = [tuple([*text, n][i:][: adjusted.no_repeat]) for i in range(len(text) + 1)]
        whole = [gram for gram in grams if len(gram) == adjusted.no_repeat]
        return adjusted.no_repeat > 0 and bool(whole) and whole[-1] in whole[:-1]

    def removed(n: int) -> bool:
        early = n == EOS and len(chosen) < adjusted.min_length
        return n in adjusted.suppressed or early or repeats(n)

    return {n: x for n, x in found.items() if not removed(n)} or found


@settings(max_examples=100)
@given(tables, st.data())
def test_greedy_is_the_definition(engine: TableEngine, data: st.DataObject) -> None:
    size = len(engine.logits([], ()))
    adjusted = data.draw(adjustments_of(size))
    assume(all(EOS not in c for c in adjusted.continuations))
    prefix = data.draw(st.lists(st.integers(0, size - 1), max_size=4))
    chosen: list[int] = []
    while len(chosen) < 6:
        logits = engine.logits([], (*prefix, *chosen)).tolist()
        seen = expected(logits, engine.program.softmax, prefix, chosen, adjusted)
        token = min(seen, key=lambda n: (-seen[n], n))
        if token == EOS:
            break
        chosen.append(token)
    asked = Request([], 6, prefix, adjustments=adjusted)
    assert greedy(engine, [asked]) == [chosen]


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=12)
@given(data=st.data())
def test_both_engines_search_alike(kind: Kind, data: st.DataObject) -> None:
    """The batch has adjustments of several kinds, and requests without any."""
    asked = data.draw(requests_of(kind) | requests_of(kind, trees=False))
    options = data.draw(beam_options(SIZES))
    golden, compiled = both(kind)
    assert compiled.greedy(asked) == golden.greedy(asked)
    assert compiled.greedy(asked, 2) == [compiled.greedy([one])[0] for one in asked]
    assert compiled.beam(asked, options) == golden.beam(asked, options)
    assert compiled.beam(asked[-1:], options) == compiled.beam(asked, options)[-1:]


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=12)
@given(data=st.data(), sampling=samplings)
def test_both_engines_draw_alike(kind: Kind, data: st.DataObject, sampling: Sampling) -> None:
    asked = data.draw(requests_of(kind))
    golden, compiled = both(kind)
    found = compiled.sample(asked, sampling)
    assert found == golden.sample(asked, sampling)
    assert found == [compiled.sample([one], sampling)[0] for one in asked]


@pytest.mark.parametrize("kind", ["recurrent", "rotary"])
@settings(max_examples=8)
@given(data=st.data(), sampling=samplings)
def test_neutral_adjustments_change_nothing(
    kind: Kind, data: st.DataObject, sampling: Sampling
) -> None:
    asked = [msgspec.structs.replace(one, adjustments=None) for one in data.draw(requests_of(kind))]
    same = [msgspec.structs.replace(one, adjustments=NEUTRAL) for one in asked]
    options = data.draw(beam_options(SIZES))
    for engine in both(kind):
        assert engine.greedy(same) == engine.greedy(asked)
        assert engine.sample(same, sampling) == engine.sample(asked, sampling)
        assert engine.beam(same, options) == engine.beam(asked, options)


@pytest.mark.parametrize("kind", ["translation", "rotary"])
@settings(max_examples=10)
@given(data=st.data(), sampling=samplings)
def test_only_allowed_continuations_are_chosen(
    kind: Kind, data: st.DataObject, sampling: Sampling
) -> None:
    some = st.lists(st.integers(1, VOCABULARY - 1), max_size=4).map(tuple)
    allowed = data.draw(st.lists(some, min_size=1, max_size=6))
    ids = data.draw(sources_of(kind))
    asked = [Request(ids, 5, adjustments=Adjustments(continuations=tuple(allowed)))]
    _, engine = both(kind)
    beam = engine.beam(asked, data.draw(beam_options(SIZES)))[0]
    found = [*engine.greedy(asked), *engine.sample(asked, sampling), *(h.ids for h in beam)]
    assert {tuple(ids) for ids in found} <= set(allowed)
    assert all(h.complete for h in beam)


@given(st.integers(1, 1 << 29), st.integers(0, 36), st.integers(-10_000, 10_000))
def test_an_amount_is_its_natural_logarithm(multiplier: int, shift: int, hundredths: int) -> None:
    softmax = LogSoftmax(x="x", multiplier=multiplier, shift=shift, out="y")
    found = amount(hundredths, softmax)
    wanted = hundredths / 100 * log2(e) * 2.0 ** (20 + shift) / multiplier
    assert abs(found - max(-(2**31) + 1, min(wanted, 2**31 - 1))) <= 0.5 + abs(wanted) * 1e-9


def test_min_p_keeps_what_is_likely_enough() -> None:
    softmax = LogSoftmax(x="x", multiplier=1 << 20, shift=0, out="y")
    row = np.array([[5, 4, 3, 0]], np.int32)  # weights of 1, 1/2, 1/4, 1/32
    for share, kept in ((0, 4), (3, 4), (4, 3), (25, 3), (26, 2), (50, 2), (51, 1), (100, 1)):
        assert np.count_nonzero(weights(row, softmax, Sampling(min_p=share))) == kept


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"repetition": 0}, r"repetition is 0, outside \[1, 10000\]"),
        ({"presence": 10_001}, "presence is 10001"),
        ({"frequency": 1.5}, r"frequency is 1.5, not an integer"),
        ({"min_length": -1}, "min_length is -1"),
        ({"no_repeat": 8193}, "no_repeat is 8193"),
        ({"bias": ((1, 20_000),)}, "the bias of token 1 is 20000"),
    ],
)
def test_what_adjustments_cannot_be(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Adjustments(**fields)


@pytest.mark.parametrize(
    "fields", [{"suppressed": (99,)}, {"bias": ((-1, 0),)}, {"continuations": ((1, 99),)}]
)
def test_tokens_outside_the_vocabulary_are_refused(fields: dict[str, Any]) -> None:
    for engine in both("decoder"):
        with pytest.raises(ValueError, match="has the token id"):
            engine.greedy([Request([], 3, adjustments=Adjustments(**fields))])


def test_candidates_and_continuations_exclude_each_other() -> None:
    adjusted = Adjustments(continuations=((1,),))
    asked = Request([3, 0], 3, candidates=np.array([1], np.int32), adjustments=adjusted)
    for engine in both("translation"):
        with pytest.raises(ValueError, match="exclude each other"):
            engine.greedy([asked])


def test_a_row_without_adjustments_is_the_decoders() -> None:
    golden, _ = both("decoder")
    logits = np.arange(VOCABULARY, dtype=np.int32)
    row = Logits(golden.program, Request([], 3)).row(logits, [])
    assert row.logits is logits
    assert row.softmax is golden.program.softmax
