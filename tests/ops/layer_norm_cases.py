"""Operands of all layer normalisations, and the exact result from a given deviation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from int8ref.reference import layer_norm_l1, layer_norm_l2
from int8ref.reference.layer_norm import MAX_WIDTH, LayerNorm
from int8ref.spec.scope import Facts
from tests.ops.cases import Array, Case, integers


def results(bits: int) -> dict[str, Any]:
    """Return the fields of the results.  `bits`: further fraction bits of the wide result, or 0."""
    return {"wide_bits": bits, "out": "out", "wide": "wide" if bits else None}


@st.composite
def norm_cases(
    draw: st.DrawFn, cls: type[LayerNorm], bound: Callable[[int], int], most_epsilon: int
) -> Case:
    """Draw rows, gain and bias up to the limits that `bound` (of |t|) allows."""
    rows = draw(st.integers(1, 4))
    width = draw(st.integers(1, 40) | st.sampled_from([64, 255, 512, 1024, MAX_WIDTH]))
    shift = draw(st.integers(1, 30))
    room = 2**31 - 1 - 2 ** (shift - 1)
    most = min(32767, room // bound(width))
    gain = draw(integers("int16", (width,), -most, most))
    rest = room - bound(width) * Facts({"gain": gain}).largest_magnitude("gain")
    epsilon = draw(st.sampled_from([0, 1, most_epsilon]) | st.integers(0, most_epsilon))
    bits = draw(st.integers(0, min(shift, 15)))
    bias_shift = draw(st.integers(0, 15))
    rest = min(rest >> bias_shift, 32767)
    fields: dict[str, Any] = {"gain": "gain", "bias": "bias", "bias_shift": bias_shift}
    return Case(
        cls(x="x", shift=shift, epsilon=epsilon, **fields, **results(bits)),
        {"x": draw(integers("int16", (rows, width)))},
        {"gain": gain, "bias": draw(integers("int16", (width,), -rest, rest))},
    )


def model_case(cls: type[LayerNorm], seed: int, width: int, sigma: float, spread: float) -> Case:
    """Return residual sums that use their 16 bits, and a gain that uses the 8 bits of y."""
    random = np.random.default_rng(seed)
    x = np.clip(random.normal(0, sigma, (4, width)), -32767, 32767).astype(np.int16)
    shift = 16
    gain = random.uniform(0.2, 1, width) * 127 / (spread * 2**10) * 2**shift
    return Case(
        cls(x="x", gain="gain", bias="bias", bias_shift=8, shift=shift, epsilon=7, **results(7)),
        {"x": x},
        {
            "gain": gain.astype(np.int16),
            "bias": random.integers(-(2**14), 2**14, width).astype(np.int16),
        },
    )


def model_cases(cls: type[LayerNorm], spread: int) -> st.SearchStrategy[Case]:
    """Draw `model_case` in the sizes of models.  `spread`: see `Norm`."""
    return st.builds(
        model_case,
        st.just(cls),
        st.integers(0, 2**32 - 1),
        st.sampled_from([8, 64, 256, 512, 1024, MAX_WIDTH]),
        st.floats(200, 12_000),
        st.floats(0.2, 3.5).map(lambda most: most * spread),
    )


def extreme_case(cls: type[LayerNorm]) -> Case:
    """Return the widest rows of extreme int16: two halves, one outlier, all equal."""
    x = np.full((4, MAX_WIDTH), 32767, np.int16)
    x[0, ::2] = x[1, -1] = x[2] = -32768
    return Case(
        cls(x="x", gain="gain", bias="bias", bias_shift=0, shift=1, epsilon=0, **results(1)),
        {"x": x},
        {"gain": np.full(MAX_WIDTH, 3, np.int16), "bias": np.zeros(MAX_WIDTH, np.int16)},
    )


def float_layer_norm(case: Case, deviation: Callable[[Array], Array]) -> tuple[Array, Array, Array]:
    """Return (y before rounding, t, s) in float64. s = deviation(centred) is n times as large."""
    op: LayerNorm = case.instruction  # type: ignore[assignment]
    x = case.values["x"].astype(np.float64)
    centred = x.shape[1] * (x - x.mean(axis=1, keepdims=True))
    s = deviation(centred)
    t = np.divide(centred, s, out=np.zeros_like(centred), where=s > 0) * 2**10
    y = (t * case.tensors["gain"] + case.tensors["bias"] * 2.0**op.bias_shift) / 2**op.shift
    return y, t, s


def assert_within(case: Case, found: dict[str, Array], y: Array, t: Array, error: Array) -> None:
    """Assert that |y - float| <= 1/2 + |gain| * (1/2 + |t| * e) / 2^shift.

    The two 1/2 bound the rounding of y and of t. e is the relative error of 1/s.
    """
    op: LayerNorm = case.instruction  # type: ignore[assignment]
    gain = np.abs(case.tensors["gain"].astype(np.float64))
    slack = np.where(gain * np.abs(t) > 0, gain * np.abs(t), 0)
    with np.errstate(invalid="ignore"):
        inner = np.where(slack > 0, slack * error, 0)
    before = (gain / 2 + inner) / 2**op.shift + 1e-6
    assert (np.abs(found["out"] - np.clip(y, -127, 127)) <= 0.5 + before).all()
    assert ("wide" in found) == (op.wide_bits > 0)
    if "wide" in found:
        unit = 2.0**-op.wide_bits
        finer = np.clip(y, -32767 * unit, 32767 * unit)
        assert (np.abs(found["wide"] * unit - finer) <= 0.5 * unit + before).all()


@dataclass(frozen=True)
class Norm:
    """A layer normalisation, and its differences from the other normalisations.

    bound         largest |t| of a row, from the number of columns
    most_epsilon  largest epsilon
    spread        upper bound of 1 / deviation for a row whose standard deviation is 1
    deviation     s in float64, from the n-fold distances and epsilon
    error         relative error of 1 / s, from s
    exact         s in Python's integers, from the distances of a row and epsilon
    """

    kind: type[LayerNorm]
    function: Callable[..., tuple[Array, Array]]
    bound: Callable[[int], int]
    most_epsilon: int
    spread: int
    deviation: Callable[[Array, int], Array]
    error: Callable[[Array], Array]
    exact: Callable[[list[int], int], int]

    def cases(self) -> st.SearchStrategy[Case]:
        return norm_cases(self.kind, self.bound, self.most_epsilon)

    def floats(self, case: Case) -> tuple[Array, Array, Array]:
        """See `float_layer_norm`."""
        epsilon: int = case.instruction.epsilon  # type: ignore[attr-defined]
        return float_layer_norm(case, lambda centred: self.deviation(centred, epsilon))


NORMS = {
    "l1": Norm(
        kind=layer_norm_l1.LayerNormL1,
        function=layer_norm_l1.layer_norm_l1,
        bound=layer_norm_l1.normalized_bound,
        most_epsilon=2**30,
        spread=2,
        deviation=lambda c, epsilon: np.abs(c).mean(axis=1, keepdims=True) + epsilon,
        # s is rounded up by less than 1.  The reciprocal is rounded down by 2^-29.
        error=lambda s: 1 / np.maximum(s, 0.5) + 2.0**-28,
        exact=lambda c, epsilon: max(-(-sum(map(abs, c)) // len(c)) + epsilon, 1),
    ),
    "l2": Norm(
        kind=layer_norm_l2.LayerNormL2,
        function=layer_norm_l2.layer_norm_l2,
        bound=layer_norm_l2.normalized_bound,
        most_epsilon=2**60,
        spread=1,
        deviation=lambda c, epsilon: np.sqrt((c**2).mean(axis=1, keepdims=True) + epsilon),
        # The mean of squares is rounded down by less than 1 unit of s^2.  The root is rounded down
        # by less than 1.  The reciprocal is rounded down by 2^-29.
        error=lambda s: np.where(s >= 2, 1 / np.maximum(s - 2, 0.25), np.inf) + 2.0**-28,
        exact=lambda c, epsilon: max(math.isqrt(sum(x * x for x in c) // len(c) + epsilon), 1),
    ),
}
"""Normalisations by their divisor: the mean absolute deviation, or the standard deviation."""
