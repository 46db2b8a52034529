"""The measures of embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.similarity import cosines, ranks, spearman, table


def test_equal_numbers_share_a_rank() -> None:
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0, 3.0])).tolist() == [3, 0, 3, 1, 3]


def test_rank_correlation() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert spearman(x, x**3) == pytest.approx(1)
    assert spearman(x, -x) == pytest.approx(-1)
    # 1 - 6 * sum(d^2) / (n (n^2 - 1)) = 1 - 6 * 2 / 120
    assert spearman(x, np.array([1.0, 3.0, 2.0, 4.0, 5.0])) == pytest.approx(0.9)


def test_the_table_compares_halves() -> None:
    exact = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [1.0, 0.0]])
    assert cosines(exact, exact) == pytest.approx(1)
    found = np.array([[127.0, 0.0], [0.0, 127.0], [90.0, 90.0], [127.0, 0.0]])
    lines = table(exact, found, np.array([5.0, 1.0])).splitlines()
    assert lines[2:] == [
        "| cosine with float, mean (least) | 1.00000 (1.000) |",
        "| Spearman x 100, float | 100.00 |",
        "| Spearman x 100, integer | 100.00 |",
    ]
