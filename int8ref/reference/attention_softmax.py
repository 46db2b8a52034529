"""Attention with a softmax in fixed point."""

from typing import Annotated, Any

import msgspec
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
    attend,
)
from int8ref.spec.arithmetic import (
    EXP2_FRACTION_BITS,
    EXP2_MAX_INPUT,
    EXP2_ONE,
    INT32_MAX,
    MAX_SHIFT,
    TANH_BITS,
    Integers,
    exp2_negative,
    rounding_shift_right,
    soft_cap,
)
from int8ref.spec.operands import Constant, Sizes, Tensor
from int8ref.spec.scope import Scope, Tensors

CAP_BITS = 20
"""Fraction bits of a capped score."""


class AttentionSoftmax(Attention, frozen=True, kw_only=True):
    """out = attention_softmax(query, key, value)."""

    score_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)]
    score_limit: Annotated[str, Tensor("int32", (HEADS,), 1)]
    score_shift: Annotated[int, Constant(1, 30)]
    cap_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)] | msgspec.UnsetType = msgspec.UNSET
    cap_shift: Annotated[int, Constant(1, MAX_SHIFT)] | msgspec.UnsetType = msgspec.UNSET

    def weigher(self, tensors: Tensors) -> Weigh:
        multiplier, limit = tensors[self.score_multiplier], tensors[self.score_limit]
        if not isinstance(self.cap_multiplier, str) or not isinstance(self.cap_shift, int):
            return softmax_weigher(multiplier, limit, self.score_shift)
        cap = tensors[self.cap_multiplier]
        return softmax_weigher(multiplier, limit, self.score_shift, cap, self.cap_shift)

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        super().prove(scope, sizes)
        capped = self.cap_multiplier is not msgspec.UNSET
        scope.require(
            capped == (self.cap_shift is not msgspec.UNSET),
            "cap_multiplier and cap_shift need each other",
        )
        multiplier, limit = (
            scope.facts.tensors[name] for name in (self.score_multiplier, self.score_limit)
        )
        largest = int((multiplier.astype(np.int64) * limit).max())
        scope.require(
            largest + 2 ** (self.score_shift - 1) <= INT32_MAX
            and (largest + 2 ** (self.score_shift - 1)) >> self.score_shift <= EXP2_MAX_INPUT,
            "scores may leave the range of exp2",
        )


def attention_softmax(
    query: Int8,
    key: Int8,
    value: Int8,
    *,
    score_multiplier: npt.NDArray[np.int32],
    score_limit: npt.NDArray[np.int32],
    score_shift: int,
    cap_multiplier: npt.NDArray[np.int32] | None = None,
    cap_shift: int | None = None,
    **shared: Any,
) -> Data:
    """Mix the values that a row sees, by the weights softmax(query . key / temperature).

    The function is `attention.attend`, and for head h its weights are

        distance[j] = min(max(s) - s[j], score_limit[h])
        z[j] = rounding_shift_right(distance[j] * score_multiplier[h], score_shift)      (A1)
        w[j] = exp2_negative(z[j])         (A4; 14 fraction bits, in [0, 2^14], max(w) = 2^14)

    With `cap_multiplier` and `cap_shift`, capped scores replace the scores s:

        c[j] = rounding_shift_right(soft_cap(s[j], cap_multiplier[h], cap_shift), 10)    (A8, A1)

    A unit of c is cap * 2^-20.  The error of c is below 0.8 units, beside the error of
    cap_multiplier.

    `shared` are the operands of `attend`, with their ranges.  The other operands are

        score_multiplier  int32 [heads], in [1, 2^31)
        score_limit       int32 [heads], in [1, 2^31)
        score_shift       1 to 30
        cap_multiplier    int32 [heads], in [1, 2^31), or None
        cap_shift         1 to 62, or None

    score_multiplier * 2^-score_shift is the real value of a unit of the score, or of c, times
    log2(e) / temperature, in units of 2^-10.  The usual temperature is sqrt(head_width).
    All scores that lie `score_limit` or more below the largest score have the same weight, usually
    0.  A valid Program has score_limit * score_multiplier + 2^(score_shift - 1) < 2^31 and
    z <= 2^14.

    The shift of z and the last shift of A4 round half up; the inner shifts of A4 round down.

    Raises `OverflowError` if z exceeds 2^14, and raises the errors of `attend`.

    Source: Vaswani et al. 2017, Eq. 1; Gemma Team 2024b (Gemma 2), section 2 (soft caps).
    """
    weigh = softmax_weigher(score_multiplier, score_limit, score_shift, cap_multiplier, cap_shift)
    return attend(weigh, query, key, value, **shared)


def softmax_weigher(
    score_multiplier: npt.NDArray[np.int32],
    score_limit: npt.NDArray[np.int32],
    score_shift: int,
    cap_multiplier: npt.NDArray[np.int32] | None = None,
    cap_shift: int | None = None,
) -> Weigh:
    """The `Weigh` of `attention_weights`."""

    def weigh(q: Int64, k: Int64, h: int) -> Int64:
        cap = None if cap_multiplier is None else (int(cap_multiplier[h]), cap_shift or 0)
        return attention_weights(q, k, score_multiplier[h], score_limit[h], score_shift, cap)

    return weigh


def attention_weights(
    query: Integers,
    key: Integers,
    multiplier: np.integer | int,
    limit: np.integer | int,
    shift: int,
    cap: tuple[int, int] | None = None,
) -> Int64:
    """The weights w of `attention_softmax` for one head of one sentence.

    `query`: [rows, head_width] and `key`: [keys, head_width], with int8 values.  out: int64 [rows,
    keys] in [0, 2^14]; the largest weight of a row is 2^14.  `cap` is a multiplier and a shift of
    `soft_cap`.
    """
    score = query.astype(np.int64) @ key.astype(np.int64).T
    if cap is not None:
        score = rounding_shift_right(soft_cap(score, *cap), TANH_BITS - CAP_BITS)
    distance = np.minimum(score.max(axis=1, keepdims=True) - score, np.int64(limit))
    return exp2_negative(rounding_shift_right(distance * np.int64(multiplier), shift))


assert EXP2_ONE == 2**WEIGHT_BITS
assert EXP2_FRACTION_BITS == 10
