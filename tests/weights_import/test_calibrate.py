"""Calibration: exact maxima, uniform samples, and thresholds equal to an exhaustive search."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import tiny_marian as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.program.program import SourceFrame
from weights_import import calibrate as calibration
from weights_import.calibrate import (
    CalibrationError,
    Collector,
    Ranges,
    calibrate,
    cut,
    mse_threshold,
    shipped_text,
)
from weights_import.float_model import CheckpointError, Float32
from weights_import.float_search import greedy
from weights_import.lower import Options, lower

SOURCES = [[3, 4, 5, 0], [6, 0], [0], [2, 9, 9, 1, 7, 0]]


def quantisation_error(x: NDArray[np.float64], threshold: float) -> float:
    step = threshold / 127
    return float(np.mean((x - step * np.clip(np.round(x / step), -127, 127)) ** 2))


def drawn(kind: str, seed: int) -> Float32:
    random = np.random.default_rng(seed)
    values = {
        "normal": random.normal(0, 3, 20000),
        "outliers": random.standard_t(3, 20000),
        "relu": np.maximum(random.normal(-1, 1, 20000), 0),
        "uniform": random.uniform(-1, 1, 20000),
        "few": random.normal(0, 1, 3),
    }[kind]
    return values.astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "outliers", "relu", "uniform", "few"])
@pytest.mark.parametrize("seed", [0, 1])
def test_mse_threshold_is_nearly_the_best_of_all(kind: str, seed: int) -> None:
    x = drawn(kind, seed)
    exact = x.astype(np.float64)
    largest = float(np.abs(exact).max())
    best = min(quantisation_error(exact, t) for t in np.linspace(0.05, 1, 400) * largest)
    found = quantisation_error(exact, mse_threshold(np.abs(x)))
    limit = 3.0 if kind == "few" else 1.03
    assert found <= limit * best


@pytest.mark.parametrize("size", [1e-36, 1e-44])
def test_mse_threshold_of_the_smallest_numbers(size: float) -> None:
    x = np.abs(np.array([1, 0.9, 0.5]) * size).astype(np.float32)
    assert 0.8 * size < mse_threshold(x) <= 1.3 * size


def test_clip_by_group_is_clip_of_each_group() -> None:
    random = np.random.default_rng(0)
    rows = (random.standard_t(3, (500, 12)) * np.arange(12)).astype(np.float32)
    collector = Collector()
    collector("x", rows)
    ranges = collector.finish()
    for method in ("max", "mse", "percentile:99"):
        for groups in (1, 3, 12):
            found = ranges.clip("x", method, groups)
            assert found.shape == (groups,)
            for block, threshold in zip(np.split(rows, groups, axis=1), found, strict=True):
                single = Collector()
                single("y", block)
                assert single.finish().clip("y", method)[0] == threshold
    assert ranges.clip("x", "max")[0] == ranges.maximum("x") == np.abs(rows).max()
    assert ranges.clip("x", "mse", 12)[0] == 0
    assert ranges.clip("x", "percentile:50")[0] == pytest.approx(np.median(np.abs(rows)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 80))
def test_the_sample_does_not_depend_on_the_cuts(cuts: list[int], rows: int) -> None:
    x = np.random.default_rng(7).normal(size=(sum(cuts), 3)).astype(np.float32)
    whole, parts = Collector(rows), Collector(rows)
    whole("x", x)
    for part in np.split(x, np.cumsum(cuts)[:-1]):
        parts("x", part)
    found = parts.finish()
    np.testing.assert_array_equal(whole.finish().samples["x"], found.samples["x"])
    np.testing.assert_array_equal(found.maxima["x"], np.abs(x).max(axis=0))
    assert len(found.samples["x"]) == min(rows, len(x))
    places = [np.flatnonzero((x == row).all(axis=1)).item() for row in found.samples["x"]]
    assert places == sorted(set(places))  # rows of x, each once, in order


def test_the_sample_is_uniform() -> None:
    counts = np.zeros(100)
    for seed in range(300):
        collector = Collector(rows=20, seed=seed)
        for start in range(0, 100, 10):
            collector("x", np.arange(start, start + 10, dtype=np.float32)[:, None])
        counts[collector.finish().samples["x"][:, 0].astype(int)] += 1
    assert counts.sum() == 6000
    assert counts.min() > 25  # mean 60, standard deviation 7
    assert counts.max() < 100


def test_wide_tensors_keep_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "SAMPLE_VALUES", 50)
    collector = Collector(rows=30)
    collector("wide", np.ones((40, 20), np.float32))
    collector("narrow", np.ones((40, 1), np.float32))
    samples = collector.finish().samples
    assert len(samples["wide"]) == 2
    assert len(samples["narrow"]) == 30


def test_clip_refuses_nonsense() -> None:
    collector = Collector()
    collector("x", np.ones((2, 6), np.float32))
    ranges = collector.finish()
    with pytest.raises(ValueError, match="unknown method 'best'"):
        ranges.clip("x", "best")
    for groups in (4, 0):
        with pytest.raises(ValueError, match=f"{groups} groups do not divide 6 features"):
            ranges.clip("x", "max", groups)
    for share, message in (("", "could not convert"), ("101", "range")):
        with pytest.raises(ValueError, match=message):
            ranges.clip("x", f"percentile:{share}")
    with pytest.raises(KeyError):
        Ranges().clip("x")


def test_calibrate_sees_every_tensor_of_every_token() -> None:
    model = tiny.random_model(3)
    ranges = calibrate(model, SOURCES)
    assert len(ranges.samples["encoder.1.ffn.norm"]) == sum(map(len, SOURCES))
    assert ranges.maxima["encoder.0.ffn.inner"].shape == (12,)
    assert "decoder.1.ffn.norm" in ranges.maxima
    assert (ranges.samples["encoder.0.ffn.inner"] >= 0).all()
    again = calibrate(model, SOURCES)
    for name, sample in ranges.samples.items():
        np.testing.assert_array_equal(sample, again.samples[name])


def test_calibrate_states_its_text() -> None:
    ranges = calibrate(tiny.random_model(3), SOURCES)
    lines = "3 4 5 0\n6 0\n0\n2 9 9 1 7 0\n"
    assert ranges.provenance == {
        "calibration_sha256": hashlib.sha256(lines.encode()).hexdigest(),
        "calibration_sentences": "4",
    }


def test_calibrate_needs_sentences_and_for_text_a_tokenizer() -> None:
    with pytest.raises(CalibrationError, match="no sentences"):
        calibrate(tiny.random_model(0), [])
    with pytest.raises(CheckpointError, match="no source tokenizer"):
        calibrate(tiny.random_model(0), ["Hello."])


def test_a_model_that_translates_into_nothing_is_calibrated_without_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = tiny.random_model(3)
    bias = np.zeros(model.architecture.target_vocabulary, np.float32)
    bias[model.architecture.eos] = 1e6
    silent = replace(model, tensors={**model.tensors, "output.bias": bias})
    assert not any(greedy(silent, SOURCES))
    with caplog.at_level("WARNING", "int8ref"):
        found = calibrate(silent, SOURCES)
    assert "translated into nothing" in caplog.text
    targets = greedy(silent, SOURCES, 1, ends=False)
    assert [len(ids) for ids in targets] == [len(ids) for ids in SOURCES]
    lower(silent, found, Options())


@pytest.mark.parametrize("language", ["en", "pt"])
def test_shipped_text(language: str) -> None:
    lines = shipped_text(language)
    assert len(lines) >= 300
    assert len(set(lines)) == len(lines)
    assert all(line and line == line.strip() for line in lines)
    content = (calibration.DATA / f"calibration.{language}.txt").read_bytes()
    assert content == "".join(f"{line}\n" for line in lines).encode()


def test_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(CalibrationError, match=r"'xx'.*en, pt.*--languages.*--calibration"):
        shipped_text("xx")


def test_a_damaged_tokenizer_is_told() -> None:
    model = replace(tiny.random_model(0), tokenizers={"source": b"not a model"})
    with pytest.raises(CheckpointError, match="source tokenizer: not a SentencePiece model"):
        calibrate(model, ["a"])


def test_long_sources_keep_their_frame() -> None:
    ids = [8, 9, 1, 2, 3, 4, 0]
    found = [cut(ids, SourceFrame((8, 9), (0,)), most) for most in (4, 6, 7, 9)]
    assert found == [[8, 9, 1, 0], [8, 9, 1, 2, 3, 0], ids, ids]
    assert cut(ids, SourceFrame(), 3) == [8, 9, 1]
    assert cut(ids, SourceFrame((8,)), 3) == [8, 9, 1]
