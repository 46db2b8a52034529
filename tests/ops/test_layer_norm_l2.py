"""layer_norm_l2: its differences from other norms (`test_layer_norm.py`)."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from int8ref.reference.layer_norm_l2 import normalized_bound
from tests.ops.cases import Case
from tests.ops.layer_norm_cases import NORMS


def cases() -> st.SearchStrategy[Case]:
    return NORMS["l2"].cases()


@pytest.mark.parametrize("width", [1, 2, 3, 512, 1024, 8192])
def test_the_bound_is_at_least_the_root(width: int) -> None:
    assert normalized_bound(width) >= 2 * width**0.5 * 2**10
