"""Several end marks: every search stops at each of them, on both backends."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.engines.compiled import CompiledEngine
from int8ref.engines.reference import ReferenceEngine
from int8ref.program.program import Program, decode, encode
from int8ref.program.validate import ProgramError, validate
from int8ref.search import BeamOptions, Sampling
from int8ref.search.request import Path
from tests.helpers.engines import requests
from tests.helpers.searches import SIZES, beam_options
from tests.helpers.tiny_engines import MODEL, VOCABULARY, batches

SEEDS = st.integers(0, 2**62)
ends = st.sets(st.integers(1, VOCABULARY - 1), min_size=1, max_size=20).map(sorted)


def ending(more: list[int]) -> Program:
    return msgspec.structs.replace(MODEL.program, more_eos=tuple(more))


def engines_of(program: Program) -> tuple[ReferenceEngine, CompiledEngine]:
    return ReferenceEngine(program, MODEL.tensors), CompiledEngine(program, MODEL.tensors)


def cut(ids: list[int], more: list[int]) -> list[int]:
    """The tokens before the first end mark."""
    places = [i for i, token in enumerate(ids) if token in more]
    return ids[: places[0]] if places else ids


@settings(max_examples=8)
@given(batches, ends, SEEDS)
def test_a_text_ends_at_the_first_of_them(
    batch: list[list[int]], more: list[int], seed: int
) -> None:
    """Greedy search and sampling choose the same tokens as without the marks, up to a mark."""
    asked = requests(batch, [9] * len(batch))
    sampling = Sampling(temperature=300, seed=seed)
    for with_one, with_all in zip(engines_of(MODEL.program), engines_of(ending(more)), strict=True):
        expected = [cut(ids, more) for ids in with_one.greedy(asked)]
        assert with_all.greedy(asked) == expected
        drawn = [cut(ids, more) for ids in with_one.sample(asked, sampling)]
        assert with_all.sample(asked, sampling) == drawn


@settings(max_examples=8)
@given(batches, ends, beam_options(SIZES))
def test_same_hypotheses(batch: list[list[int]], more: list[int], options: BeamOptions) -> None:
    asked = requests(batch, [9] * len(batch))
    reference, compiled = engines_of(ending(more))
    found = compiled.beam(asked, options)
    assert found == reference.beam(asked, options)
    every = {0, *more}
    for hypotheses in found:
        assert all(not every & set(h.ids) for h in hypotheses)
        assert all(len(h.tokens) == len(h.ids) + h.complete for h in hypotheses)


def test_the_sums_are_sums_with_the_mark_that_ended() -> None:
    more = list(range(1, VOCABULARY))  # every token ends a text
    reference, _ = engines_of(ending(more))
    ((best, *_),) = reference.beam(requests([[5, 9, 0]], [9]), BeamOptions(4, 4))
    logits = reference.session([[5, 9, 0]]).step(np.array([MODEL.program.start], np.int32))
    assert best.ids == ()
    path = Path([5, 9, 0], MODEL.program.start, (int(logits.argmax()),))
    assert list(best.tokens) == reference.log_probabilities([path])[0]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ((VOCABULARY,), "outside the vocabulary"),
        ((-1,), "outside the vocabulary"),
        ((3, 3), "twice"),
        ((MODEL.program.eos,), "twice"),
        (tuple(range(1, 66)), "more than 63"),
    ],
)
def test_refused(more: tuple[int, ...], why: str) -> None:
    with pytest.raises(ProgramError, match=why):
        validate(ending(list(more)), MODEL.tensors)


def test_absent_when_unused() -> None:
    assert b"more_eos" not in encode(MODEL.program)
    program = ending([3, 7])
    assert decode(encode(program)) == program
    assert program.ends == (MODEL.program.eos, 3, 7)
