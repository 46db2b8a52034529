"""Attention with a polynomial instead of the softmax."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from int8ref.reference.attention import (
    HEADS,
    WEIGHT_BITS,
    Attention,
    Data,
    Int8,
    Int64,
    Weigh,
    Weights,
    attend,
    of_keys,
    starts,
)
from int8ref.spec.arithmetic import (
    EXP2_FRACTION_BITS,
    INT32_MAX,
    bit_length,
    rounding_shift_right,
)
from int8ref.spec.operands import Constant, Sizes, Tensor
from int8ref.spec.scope import Scope, Tensors
from int8ref.spec.trace import note

BASE_BITS = 15
"""Bits of the base of the power.  The square has 30 bits, and so has every higher power after
re-scaling."""
MAX_DEGREE = 4
MAX_SHIFT = 62
MAX_BASE_SHIFT = 31 - BASE_BITS
"""Largest shift that brings a score of 31 bits to BASE_BITS."""
MAX_ROUNDING = 2 ** (MAX_BASE_SHIFT - 1)


class AttentionPolynomial(Attention, frozen=True, kw_only=True):
    """out = attention_polynomial(query, key, value)."""

    degree: Annotated[int, Constant(1, MAX_DEGREE)]
    score_bias: Annotated[str, Tensor("int32", (HEADS,))]
    score_shift: Annotated[str, Tensor("int8", (HEADS,), 0, MAX_BASE_SHIFT)]
    delta_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)]
    delta_shift: Annotated[str, Tensor("int8", (HEADS,), 2, 31)]

    def weigher(self, tensors: Tensors) -> Weigh:
        names = (self.score_bias, self.score_shift, self.delta_multiplier, self.delta_shift)
        return polynomial_weigher(self.degree, *(tensors[name] for name in names))

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        super().prove(scope, sizes)
        bias = scope.facts.largest_magnitude(self.score_bias)
        largest = 128 * 128 * self.head_width + bias + MAX_ROUNDING
        scope.require(largest <= INT32_MAX, f"scores may reach {largest}, over 32 bits")
        delta, shift = (
            scope.facts.tensors[name] for name in (self.delta_multiplier, self.delta_shift)
        )
        scope.require(
            int(rounding_shift_right(delta, shift).min()) >= 1,
            "delta vanishes: a row of scores below -b would have no weight",
        )


def attention_polynomial(
    query: Int8,
    key: Int8,
    value: Int8,
    *,
    degree: int,
    score_bias: npt.NDArray[np.int32],
    score_shift: npt.NDArray[np.int8],
    delta_multiplier: npt.NDArray[np.int32],
    delta_shift: npt.NDArray[np.int8],
    **shared: Any,
) -> Data:
    """Mix the values that a row sees, by the weights [ReLU(score + b)]^degree + |delta|.

    The function is `attention.attend`, and for head h its weights are

        x[j] = max(s[j] + score_bias[h], 0)
        e    = max(bit_length(max(x)) - 15, score_shift[h])
        u[j] = rounding_shift_right(x[j], e)                                    (at most 2^15)
        p[j] = u[j] * 2^15                                          for degree 1
               u[j]^2                                               for degree 2
               rounding_shift_right(u[j]^2, 15) * u[j]              for degree 3
               rounding_shift_right(u[j]^2, 15)^2                   for degree 4; at most 2^30
        k    = min(delta_shift[h] + degree * (e - score_shift[h]), 62)
        d    = rounding_shift_right(delta_multiplier[h], k)
        t[j] = p[j] + d                                                  (at most 2^30 + 2^29)
        g    = bit_length(max(t)) - 14
        w[j] = rounding_shift_right(t[j], g), or t[j] * 2^-g for g < 0          (at most 2^14)

    If the row sees more than 1024 keys, max(x) and max(t) are the largest ones of a block, so that
    each block b has an e, a d and a g of its own, and

        far[b] = (max over all blocks of (g + degree * e) - (g + degree * e)) * 2^10

    `shared` are the operands of `attend`, with their ranges.  The other operands are

        degree            1 to 4
        score_bias        int32 [heads]: b in units of a score
        score_shift       int8 [heads], 0 to 16
        delta_multiplier  int32 [heads], in [1, 2^31)
        delta_shift       int8 [heads], 2 to 31

    delta_multiplier * 2^-delta_shift is delta in units of p, for e = score_shift.  `score_shift` is
    0 unless a large delta needs more.  A valid Program has
    2^14 * head_width + |score_bias| + 2^15 < 2^31, so that every intermediate fits in int32.  It
    also has d >= 1 for e = score_shift, so that a row whose scores are all below -b has equal
    weights.

    All shifts round half up (A1).  The shifts e and g depend on the largest element of a row
    in a block; this is the re-scaling of the paper.  The scale of the weights cancels in `attend`.

    Raises the errors of `attend`.

    Source: Lin et al. 2020, Eq. 11.
    """

    weigh = polynomial_weigher(degree, score_bias, score_shift, delta_multiplier, delta_shift)
    return attend(weigh, query, key, value, **shared)


def polynomial_weigher(
    degree: int, *per_head: npt.NDArray[np.int32] | npt.NDArray[np.int8]
) -> Weigh:
    """The `Weigh` of `polynomial_weights`; `per_head` are its last four operands, one for each
    head."""

    def weigh(q: Int64, k: Int64, h: int, places: Int64) -> Weights:
        return polynomial_weights(q, k, degree, *(int(operand[h]) for operand in per_head))

    return weigh


def polynomial_weights(
    query: Int64,
    key: Int64,
    degree: int,
    bias: int,
    least_shift: int,
    multiplier: int,
    shift: int,
) -> Weights:
    """The weights of `attention_polynomial` for one head of one sentence.

    `query`: int64 [rows, head_width] and `key`: int64 [keys, head_width], with int8 values.  The
    next operands are the degree, and for this head score_bias, score_shift, delta_multiplier and
    delta_shift.
    """
    score, keys = query @ key.T, len(key)
    first = starts(keys)
    x = np.maximum(score + bias, 0)
    e = np.maximum(bit_length(np.maximum.reduceat(x, first, axis=1)) - BASE_BITS, least_shift)
    drop = np.minimum(shift + degree * (e - least_shift), MAX_SHIFT)
    delta = rounding_shift_right(np.array(multiplier), drop)
    u = rounding_shift_right(x, of_keys(e, keys))
    t = power(u, degree) + of_keys(delta, keys)
    g = bit_length(np.maximum.reduceat(t, first, axis=1)) - WEIGHT_BITS
    for name, value in (
        ("s", score),
        ("x", x),
        ("e", e),
        ("u", u),
        ("d", delta),
        ("t", t),
        ("g", g),
    ):
        note(name, value)
    unit = g + degree * e
    far = (unit.max(axis=1, keepdims=True) - unit) << EXP2_FRACTION_BITS
    left, right = of_keys(np.maximum(-g, 0), keys), of_keys(np.maximum(g, 0), keys)
    return Weights(rounding_shift_right(t << left, right), far)


def power(u: Int64, degree: int) -> Int64:
    """u^degree * 2^(15 * (2 - degree)) for u in [0, 2^15].  The result lies in [0, 2^30]."""
    if degree == 1:
        return u << BASE_BITS
    square = u * u
    if degree == 2:
        return square
    scaled = rounding_shift_right(square, BASE_BITS)
    return scaled * (u if degree == 3 else scaled)


assert 2 ** (2 * BASE_BITS) + 2**29 + 2**16 <= INT32_MAX
