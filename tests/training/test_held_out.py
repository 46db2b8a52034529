from __future__ import annotations

import os
import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from training.config import load
from training.held_out import components, line_key, split
from training.prepare import read_corpora

LINE = st.sampled_from(
    ["Tom!", "tom", "TOM ?", "Hallo.", "hi", "Hi,  Tom", "hi tom", "Ja", "no", ""]
)
PAIRS = st.lists(st.tuples(LINE, LINE), max_size=25)


def test_key_ignores_case_punctuation_and_spacing() -> None:
    assert line_key("  Straße, NR. 5 !") == line_key("STRASSE nr5") == "strassenr5"
    assert line_key("five") != line_key("fine")


@given(PAIRS)
def test_pairs_share_a_component_exactly_if_linked(pairs: list[tuple[str, str]]) -> None:
    numbers = components(pairs)
    linked = [{i} for i in range(len(pairs))]
    for i, one in enumerate(pairs):
        for j, other in enumerate(pairs[:i]):
            if set(one) & set(other) and linked[i] is not linked[j]:
                merged = linked[i] | linked[j]
                for k in merged:
                    linked[k] = merged
    for i in range(len(pairs)):
        assert {j for j, number in enumerate(numbers) if number == numbers[i]} == linked[i]


@settings(max_examples=50)
@given(PAIRS, st.integers(0, 3))
def test_no_held_out_line_is_a_training_line(pairs: list[tuple[str, str]], seed: int) -> None:
    pairs = pairs + [(f"source {i}", f"target {i}") for i in range(5)]
    parts = split(pairs, 2, 3, seed)
    assert (len(parts.valid), len(parts.test)) == (2, 3)

    def lines(chosen: list[tuple[str, str]]) -> set[str]:
        return {line_key(line) for pair in chosen for line in pair}

    assert not lines(parts.train) & lines(parts.valid + parts.test)
    assert not lines(parts.valid) & lines(parts.test)
    assert set(parts.train + parts.valid + parts.test) <= set(pairs)
    assert split(pairs, 2, 3, seed) == parts


def test_too_few_separable_pairs_is_an_error() -> None:
    with pytest.raises(ValueError, match="5 held-out pairs asked for, only 1 are separable"):
        split([("a", "b")], 2, 3, 1)


def test_tatoeba_held_out_lines_are_in_no_training_line() -> None:
    shared = Path(os.environ.get("INT8REF_SHARED", "../shared")) / "data"
    config = Path(__file__).parents[2] / "training" / "configs" / "en-de-tatoeba.toml"
    data = load(config).data
    if not (shared / data.train_source[0]).exists():
        pytest.skip(f"no {data.train_source[0]} (set INT8REF_SHARED)")
    corpora = read_corpora(data, shared)

    def words(name: str) -> set[str]:
        """Return the letters and digits of each line, computed without `line_key`."""
        lines = corpora[name]["source"] + corpora[name]["target"]
        return {re.sub(r"[\W_]+", "", line.casefold()) for line in lines}

    assert len(corpora["train"]["source"]) > 150_000
    assert [len(corpora[n]["target"]) for n in ("valid", "test")] == list(data.held_out)
    assert not words("train") & (words("valid") | words("test"))
    assert not words("valid") & words("test")
