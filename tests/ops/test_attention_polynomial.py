"""attention_polynomial: close to the polynomial in float64.  The bound is derived here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.reference.attention_polynomial import AttentionPolynomial
from int8ref.spec.scope import ProgramError
from tests.ops.attention_cases import DOMAINS, float_attention, operands, self_attention
from tests.ops.cases import Array, Case, integers, run_reference


@st.composite
def cases(draw: st.DrawFn, kind: str | None = None) -> Case:
    fields, values, tensors = draw(operands(kind))
    heads, most = fields["heads"], 2**31 - 1 - 2**15 - 128 * 128 * fields["head_width"]
    reach = draw(st.sampled_from([1, 2**10, 2**14, 2**18, most]))
    shift = draw(integers("int8", (heads,), 2, 31))
    least = np.int64(1) << (shift.astype(np.int64) - 1)
    delta = np.maximum(draw(integers("int32", (heads,), 1)), least)
    more = {
        "score_bias": draw(integers("int32", (heads,), -reach, reach)),
        "score_shift": draw(integers("int8", (heads,), 0, 16)),
        "delta_multiplier": delta.astype(np.int32),
        "delta_shift": shift,
    }
    degree = draw(st.integers(1, 4))
    op = AttentionPolynomial(**fields, **{name: name for name in more}, degree=degree)
    return Case(op, values, tensors | more, DOMAINS)


def terms(case: Case, score: Array, h: int) -> tuple[Array, float, int]:
    """Return powers and delta in units of p, without rounding, and the shift e."""
    op: AttentionPolynomial = case.instruction  # type: ignore[assignment]
    x = np.maximum(score + float(case.tensors["score_bias"][h]), 0)
    least = int(case.tensors["score_shift"][h])
    e = max(int(x.max()).bit_length() - 15, least)
    delta = float(case.tensors["delta_multiplier"][h]) / 2.0 ** int(case.tensors["delta_shift"][h])
    powers = (x / 2.0**e) ** op.degree * 2.0 ** (15 * (2 - op.degree))
    return powers, delta / 2.0 ** ((e - least) * op.degree), e


def weights(case: Case, score: Array, h: int) -> Array:
    powers, delta, _ = terms(case, score, h)
    return powers + delta


def moved(case: Case, score: Array, weight: Array, h: int) -> float:
    """Add the largest error of each rounding, for every key.

    u has an error of r: 1/2 if u was shifted, else 0.  The square of u is at most U^2.  Its error
    is 2Ur + r^2, and rescaling adds 1/2. delta has an error of 1/2.  A weight has an error of 1/2,
    where the largest weight is at least 2^13.
    """
    op: AttentionPolynomial = case.instruction  # type: ignore[assignment]
    powers, delta, e = terms(case, score, h)
    r = 0.5 if e else 0.0
    u = float(np.maximum(score + float(case.tensors["score_bias"][h]), 0).max()) / 2.0**e
    square = 2 * u * r + r * r
    scaled, off = u * u / 2**15, square / 2**15 + 0.5
    error = {
        1: r * 2**15,
        2: square,
        3: off * (u + r) + scaled * r,
        4: 2 * scaled * off + off * off,
    }[op.degree]
    share = (error + 0.5) / (powers.max() + delta)
    return float(len(weight) * (share + 2.0**-14 * (1 + share)))


@given(cases())
def test_within_the_bound_of_its_roundings(case: Case) -> None:
    exact, bound = float_attention(case, weights, moved)
    found = run_reference(case)["out"]
    assert (np.abs(found - exact) <= bound).all()


def attention_of(
    qkv: Array, degree: int, bias: int = 0, delta: int = 2, delta_shift: int = 2, least: int = 0
) -> Case:
    tensors = {
        "score_bias": (bias, np.int32),
        "score_shift": (least, np.int8),
        "delta_multiplier": (delta, np.int32),
        "delta_shift": (delta_shift, np.int8),
    }
    return self_attention(AttentionPolynomial, qkv, tensors, degree=degree)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 4), st.sampled_from([4, 20]))
def test_within_two_units_on_rows_as_models_have_them(
    seed: int, keys: int, degree: int, reach: int
) -> None:
    """Up to 60 keys, 32 columns a head, b = degree, delta = 1/10, scores of about +-`reach`."""
    random = np.random.default_rng(seed)
    qkv = np.clip(random.normal(0, 40, (keys, 3 * 32)), -127, 127).astype(np.int8)
    unit = reach / (3 * 40 * 40 * np.sqrt(32))
    delta = 0.1 / unit**degree * 2.0 ** (15 * (2 - degree))
    shift = 30 - int(np.ceil(np.log2(delta)))
    case = attention_of(qkv, degree, round(degree / unit), round(delta * 2**shift), shift)
    exact, _ = float_attention(case, weights, moved)
    assert np.abs(run_reference(case)["out"] - exact).max() <= 2


@given(integers("int8", (1, 24), -127), st.integers(1, 4))
def test_a_single_key_gives_its_value(qkv: Array, degree: int) -> None:
    assert run_reference(attention_of(qkv, degree))["out"].tolist() == qkv[:, 16:].tolist()


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_a_row_of_scores_below_the_bias_is_the_mean(degree: int) -> None:
    """If every score is at most -b, only delta remains, and all weights are equal."""
    qkv = np.array([[50, 50, 10], [50, 20, 70], [50, 90, 40]], np.int8)
    case = attention_of(qkv, degree, bias=-(50 * 90))
    assert run_reference(case)["out"].ravel().tolist() == [40, 40, 40]


def test_delta_weighs_what_the_polynomial_drops() -> None:
    """Scores 3 and 0 of degree 2 with b = 0 have the weights 9 + 1 and 0 + 1."""
    qkv = np.array([[1, 3, 110], [1, 0, 0]], np.int8)
    case = attention_of(qkv, 2, delta=4, delta_shift=2)
    assert run_reference(case)["out"].ravel().tolist() == [100, 100]


@pytest.mark.parametrize("value", [-128, 127])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_the_longest_sentence_of_extreme_values(value: int, degree: int) -> None:
    """1024 equal keys: no weight exceeds 2^14, so the sum of weights times -128 fits in int32."""
    qkv = np.full((1024, 3), value, np.int8)
    out = run_reference(attention_of(qkv, degree, 2**31 - 1 - 2**15 - 2**14))["out"]
    assert set(out.ravel().tolist()) == {max(value, -127)}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"degree": 0}, "degree is 0"),
        ({"degree": 5}, r"degree is 5, outside \[1, 4\]"),
        ({"bias": 2**31 - 2**15 - 2**14}, "scores may reach 2147483648, over 32 bits"),
        ({"delta": 0}, "holds 0, below 1"),
        ({"delta": 1, "delta_shift": 2}, "delta vanishes"),
        ({"delta_shift": 1}, "holds 1, below 2"),
        ({"delta_shift": 32}, "holds 32, above 31"),
        ({"least": -1}, "holds -1, below 0"),
        ({"least": 17}, "holds 17, above 16"),
    ],
)
def test_refuses_what_may_overflow_or_vanish(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        attention_of(np.ones((2, 3), np.int8), **{"degree": 2, **fields}).types()
