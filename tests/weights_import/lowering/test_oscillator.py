"""Tables of sinusoids of any frequencies are recognised.  Other tables stay tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from int8ref.reference.sinusoids import sinusoids as in_integers
from weights_import.lowering.oscillator import frequencies, wave
from weights_import.operations import embedding
from weights_import.sources import hugging_face_sinusoids
from weights_import.tensors import Float32


def transformers(length: int, width: int) -> Float32:
    return hugging_face_sinusoids.sinusoids(length, width)


def marian(length: int, width: int) -> Float32:
    return embedding.sinusoids(0, length, width)


@pytest.mark.parametrize("kind", [marian, transformers])
@pytest.mark.parametrize(("length", "width"), [(2, 4), (256, 128), (1024, 512), (300, 6)])
def test_sinusoids_become_frequencies(kind: object, length: int, width: int) -> None:
    table = kind(length, width)  # type: ignore[operator]
    found = frequencies(table)
    assert found is not None
    rows = in_integers(np.arange(length, dtype=np.int32), found, wave())
    assert np.abs(rows - 127 * table).max() < 0.9 + 127 * 1e-3
    assert np.abs(rows - 127 * table).mean() < 0.3


@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.integers(1, 9))
def test_other_tables_stay(seed: int, length: int, half: int) -> None:
    random = np.random.default_rng(seed)
    assert frequencies(random.normal(0, 1, (length, 2 * half))) is None
    angles = np.arange(length)[:, None] * random.uniform(0, np.pi, half)
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    assert frequencies(table) is not None
    for changed in (2 * table, table[1:], table[:, ::-1], table[:, 1:], table[:1]):
        found = frequencies(changed)
        assert found is None or np.abs(in_float(found, len(changed)) - changed).max() < 2e-3
    table[random.integers(2, length), random.integers(0, 2 * half)] += 0.01
    assert frequencies(table) is None


def in_float(turns: NDArray[np.int32], length: int) -> NDArray[np.float64]:
    angles = np.arange(length)[:, None] * (2 * np.pi * turns / 2**32)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
