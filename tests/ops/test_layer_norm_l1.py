"""layer_norm_l1: its differences from other norms (`test_layer_norm.py`)."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from int8ref.reference.layer_norm_l1 import layer_norm_l1, normalized_bound
from tests.ops.cases import Case
from tests.ops.layer_norm_cases import NORMS


def cases() -> st.SearchStrategy[Case]:
    return NORMS["l1"].cases()


def test_the_bound_is_reached() -> None:
    """One outlier: its distance is half of the sum of all distances."""
    x = np.array([[0, 0, 0, 0, 0, 0, 0, 8]], np.int16)
    out, _ = layer_norm_l1(x, np.ones(8, np.int16), np.zeros(8, np.int16), 0, 6, 0, 0)
    assert int(out[0, 7]) << 6 == normalized_bound(8)
