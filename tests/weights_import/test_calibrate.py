"""The calibration text: its translations, its pieces, and its provenance."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import chain
from typing import Any

import every_kind
import numpy as np
import pytest
import tiny_marian as tiny
import tiny_training
from hypothesis import given
from hypothesis import strategies as st

from int8ref.program.program import SourceFrame
from weights_import import calibrate
from weights_import.calibrate import (
    CalibrationError,
    calibration,
    cut,
    few,
    own_text,
    shipped_text,
    tokenize,
)
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy, sample
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

SOURCES = [[3, 4, 5, 0], [6, 0], [0], [2, 9, 9, 1, 7, 0]]


def test_sentences_are_translated() -> None:
    model = tiny.random_model(3)
    found = calibration(model, SOURCES)
    assert found.sources == SOURCES
    assert found.targets == greedy(model, SOURCES)
    assert calibration(model, SOURCES) == found


def test_positions_cut_sources_and_translations() -> None:
    """The start of a target takes one position."""
    model = every_kind.random_model("post-norm", max_length_factor=9.0)
    most = every_kind.TINY.positions
    long = [[4] * 40 + [0], [5, 0]]
    found = calibration(model, long)
    assert found.sources == [[4] * (most - 1) + [0], [5, 0]]
    assert [len(ids) for ids in found.targets] == [most - 1, 18]
    assert calibration(model, long, positions=6).sources == [[4] * 5 + [0], [5, 0]]


@given(st.lists(st.lists(st.integers(1, 9), max_size=9), min_size=1), st.integers(2, 30))
def test_a_decoder_alone_reads_pieces_of_the_text(texts: list[list[int]], positions: int) -> None:
    """Each piece has `positions` tokens with the start, but the last one may be shorter."""
    model = every_kind.random_model("llama")
    most = min(positions, every_kind.TINY.positions) - 1
    found = calibration(model, texts, positions)
    assert [*chain(*found.targets)] == [*chain(*texts)]
    assert all(len(piece) == most for piece in found.targets[:-1])
    assert all(1 <= len(piece) <= most for piece in found.targets)
    assert found.sources == [[] for _ in found.targets]


def test_a_text_states_itself() -> None:
    found = calibration(tiny.random_model(3), SOURCES)
    lines = "3 4 5 0\n6 0\n0\n2 9 9 1 7 0\n"
    assert found.provenance == {
        "calibration_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "calibration_sentences": "4",
    }


def test_sentences_are_needed_and_for_text_a_tokenizer() -> None:
    with pytest.raises(CalibrationError, match="no sentences"):
        calibration(tiny.random_model(0), [])
    with pytest.raises(CheckpointError, match="no source tokenizer"):
        calibration(tiny.random_model(0), ["Hello."])
    with pytest.raises(CheckpointError, match="no target tokenizer"):
        calibration(every_kind.random_model("llama"), ["Hello."])


def test_a_model_that_translates_into_nothing_is_calibrated_without_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    silent = tiny.random_model(3)
    bias = np.zeros(silent.generation.target_vocabulary, np.float32)
    bias[silent.generation.eos] = 1e6
    silent.tensors["output.bias"] = bias
    assert not any(greedy(silent, SOURCES))
    with caplog.at_level("WARNING", "int8ref"):
        found = calibration(silent, SOURCES)
    assert "translated into nothing" in caplog.text
    assert found.targets == greedy(silent, SOURCES, 1, ends=False)
    assert [len(ids) for ids in found.targets] == [len(ids) for ids in SOURCES]
    lower(silent, found.sources, found.targets, LoweringOptions())


# Long texts

LENGTHS = st.lists(st.integers(0, 40), min_size=1, max_size=40)


@given(LENGTHS, st.integers(1, 30), st.integers(1, 200))
def test_of_a_long_text_sentences_are_drawn(lengths: list[int], most: int, limit: int) -> None:
    """They stay in order, and have `limit` tokens at most if there are several of them."""
    sentences = [[i] * length for i, length in enumerate(lengths)]
    counts = [min(length, most) for length in lengths]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "MOST_TOKENS", limit)
        found = few(sentences, most)
        assert found == few(sentences, most)
    if sum(counts) <= limit:
        assert found == sentences
        return
    rest = iter(sentences)
    assert all(any(one is other for other in rest) for one in found)
    assert 1 <= len(found) < len(sentences)
    if len(found) > 1:
        assert sum(min(len(ids), most) for ids in found) <= limit


def test_drawn_sentences_are_as_many_as_fit_and_from_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibrate, "MOST_TOKENS", 1000)
    found = few([[i] * 5 for i in range(1000)], 512)
    assert len(found) == 200
    quarters = np.bincount([ids[0] // 250 for ids in found], minlength=4)
    assert quarters.min() > 25  # mean 50, standard deviation 6


def test_the_digest_is_that_of_the_whole_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "MOST_TOKENS", 5)
    model = tiny.random_model(3)
    found = calibration(model, SOURCES)
    assert len(found.sources) < len(SOURCES)
    monkeypatch.undo()
    assert found.provenance == calibration(model, SOURCES).provenance


# Texts of the model and of the project


def test_a_decoder_alone_writes_its_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "OWN_TEXTS", 3)
    monkeypatch.setattr(calibrate, "OWN_TOKENS", 9)
    model = every_kind.random_model("decoder, tanh")
    assert own_text(model) == [[*text, 0] for text in sample(model, 3, 9)]
    model.tensors["output.bias"][model.generation.eos] = 1e6
    with pytest.raises(CheckpointError, match="the model writes nothing to calibrate on"):
        own_text(model)


@pytest.mark.parametrize("language", ["en", "pt"])
def test_shipped_text(language: str) -> None:
    lines = shipped_text(language)
    assert len(lines) >= 300
    assert len(set(lines)) == len(lines)
    assert all(line and line == line.strip() for line in lines)
    content = (calibrate.DATA / f"calibration.{language}.txt").read_bytes()
    assert content == "".join(f"{line}\n" for line in lines).encode()


def test_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(CalibrationError, match=r"'xx'.*en, pt.*--languages.*--calibration"):
        shipped_text("xx")


# Tokenizers


def tokenized(**changes: Any) -> FloatModel:
    """Return a model with the tokenizer of the training recipe."""
    size = tiny_training.described()["vocabulary"]
    told = {"eos": 3, "unk": 1, "source_vocabulary": size, "target_vocabulary": size} | changes
    return replace(tiny.random_model(0, **told), tokenizers={"source": tiny_training.tokenizer()})


def test_texts_become_ids_in_their_frame() -> None:
    sentences = list(tiny_training.SENTENCES)
    plain = tokenize(tokenized(source_frame=SourceFrame()), sentences)
    assert len({tuple(ids) for ids in plain}) == len(sentences)
    found = tokenize(tokenized(), sentences)
    assert found == [[*ids, 3] for ids in plain]
    assert tokenize(tokenized(), found) == found


def test_special_tokens_of_the_source_are_its_own() -> None:
    model = tokenized(eos=0, source_special=(3, 1))
    assert tokenize(model, ["The cat."])[0][-1] == 0


@pytest.mark.parametrize("changes", [{"source_vocabulary": 65}, {"eos": 2}, {"unk": 4}])
def test_a_tokenizer_of_another_vocabulary_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"source tokenizer: \(vocabulary, eos, unk\) = "):
        tokenize(tokenized(**changes), ["a"])


def test_a_damaged_tokenizer_is_told() -> None:
    model = replace(tiny.random_model(0), tokenizers={"source": b"not a model"})
    with pytest.raises(CheckpointError, match="source tokenizer: not a SentencePiece model"):
        calibration(model, ["a"])


def test_long_sources_keep_their_frame() -> None:
    ids = [8, 9, 1, 2, 3, 4, 0]
    found = [cut(ids, SourceFrame((8, 9), (0,)), most) for most in (4, 6, 7, 9)]
    assert found == [[8, 9, 1, 0], [8, 9, 1, 2, 3, 0], ids, ids]
    assert cut(ids, SourceFrame(), 3) == [8, 9, 1]
    assert cut(ids, SourceFrame((8,)), 3) == [8, 9, 1]
