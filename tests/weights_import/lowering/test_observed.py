"""What is observed of the float values on the calibration text."""

from __future__ import annotations

import every_kind
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weights_import import lower
from weights_import.float_program import Operation
from weights_import.forward import step
from weights_import.lowering.observed import SAMPLE, Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.run import Run
from weights_import.tensors import Float32, Tensors


def observed(rows: Float32) -> Observed:
    found = Observed()
    found.rows["x"] = rows
    return found


def test_clip_by_group_is_clip_of_each_group() -> None:
    random = np.random.default_rng(0)
    rows = (random.standard_t(3, (500, 12)) * np.arange(12)).astype(np.float32)
    whole = observed(rows)
    for method in ("max", "mse", "percentile:99"):
        for groups in (1, 3, 12):
            found = whole.clip("x", method, groups)
            assert found.shape == (groups,)
            for block, threshold in zip(np.split(rows, groups, axis=1), found, strict=True):
                assert observed(block).clip("x", method)[0] == threshold
    assert whole.clip("x", "max")[0] == whole.maximum("x") == np.abs(rows).max()
    assert whole.clip("x", "mse", 12)[0] == 0
    assert whole.clip("x", "percentile:50")[0] == pytest.approx(np.median(np.abs(rows)))


def test_methods_and_values_that_are_unknown() -> None:
    whole = observed(np.ones((2, 6), np.float32))
    with pytest.raises(ValueError, match="unknown method 'best'"):
        whole.clip("x", "best")
    with pytest.raises(KeyError):
        whole.clip("y", "max")


@given(st.integers(1, 4), st.integers(1, 9))
def test_extremes_are_exact_and_follow_the_rows(width: int, count: int) -> None:
    """Rows that are replaced have new extremes, and rows that are dropped have none."""
    whole = Observed()
    for seed in range(2):
        rows = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
        whole.rows["x"] = rows
        for _ in range(2):
            low, high = whole.extremes("x")
            np.testing.assert_array_equal(low, rows.min(axis=0))
            np.testing.assert_array_equal(high, rows.max(axis=0))
        np.testing.assert_array_equal(whole.maxima("x"), np.abs(rows).max(axis=0))
        assert whole.maximum("x") == np.abs(rows).max()
    whole.forget("x")
    whole.forget("never seen")
    with pytest.raises(KeyError):
        whole.extremes("x")


@given(st.integers(0, 5 * SAMPLE))
def test_a_sample_is_spread_evenly(count: int) -> None:
    """It has at most SAMPLE rows, at equal distances from the first one on, and no more distance
    than needed."""
    found = observed(np.arange(count, dtype=np.float32)[:, None]).sample("x")[:, 0]
    distance = max(1, -(-count // SAMPLE))
    assert found.tolist() == list(range(0, count, distance))
    assert len(found) <= SAMPLE
    assert distance == 1 or count > SAMPLE * (distance - 1)


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_lowering_observes_every_value_of_every_token(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the logits are not computed.  Keys and values of the source are rows of the source."""
    model = every_kind.random_model(kind)
    sources = every_kind.sentences(model, 9, 0) if model.translates else [[] for _ in range(9)]
    targets = every_kind.sentences(model, 9, 1)
    rows: dict[str, int] = {}

    def record(run: Run, operation: Operation, blamed: Tensors) -> tuple[Float32, Float32]:
        extremes = step(run, operation, blamed)
        rows[operation.out] = len(run.values[operation.out])
        return extremes

    monkeypatch.setattr(lower, "step", record)
    lower.lower(model, sources, targets, LoweringOptions(positions=20))
    of_source, of_target = sum(map(len, sources)), sum(len(ids) + 1 for ids in targets)
    expected = {one.out: of_source for one in model.program.encoder}
    expected |= {one.out: of_target for one in model.program.decoder}
    for name in every_kind.logits(model.program):
        del expected[name]
    assert rows == expected
