"""The values that errors name, and the intermediate values that primitives report."""

from __future__ import annotations

import numpy as np
import pytest

from int8ref.spec.arithmetic import reciprocal, requantize, require_range
from int8ref.spec.trace import tracing


@pytest.mark.parametrize(("x", "worst"), [([2, 6], 6), ([1, 5], 1), ([1, 6], 1), ([5, 2, 7], 7)])
def test_the_error_names_a_value_outside(x: list[int], worst: int) -> None:
    with pytest.raises(OverflowError, match=rf"x: {worst} is outside \[2, 5\]"):
        require_range(np.array(x), 2, 5, "x")


def test_intermediates_of_a_requantisation() -> None:
    with tracing() as trace:
        requantize(np.array([100, -100]), 3, 1)
    found = {name: array.tolist() for name, array in trace.arrays().items()}
    assert found == {"product": [300, -300], "rounded": [150, -150]}


def test_intermediates_of_a_reciprocal() -> None:
    with tracing() as trace:
        reciprocal(np.array([1, 3]))
    found = {name: array.tolist() for name, array in trace.arrays().items()}
    assert found == {"r": [2**30, 2**31 // 3], "k": [30, 31]}
