"""Attention with a softmax in fixed point."""

from __future__ import annotations

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
    attend,
)
from int8ref.spec.arithmetic import (
    EXP2_FRACTION_BITS,
    EXP2_MAX_INPUT,
    EXP2_ONE,
    INT32_MAX,
    Integers,
    exp2_negative,
    rounding_shift_right,
)
from int8ref.spec.operands import Constant, Sizes, Tensor
from int8ref.spec.scope import Scope, Tensors


class AttentionSoftmax(Attention, frozen=True, kw_only=True):
    """out = attention_softmax(query, key, value)."""

    score_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)]
    score_limit: Annotated[str, Tensor("int32", (HEADS,), 1)]
    score_shift: Annotated[int, Constant(1, 30)]

    def weigher(self, tensors: Tensors) -> Weigh:
        multiplier, limit = tensors[self.score_multiplier], tensors[self.score_limit]
        return softmax_weigher(multiplier, limit, self.score_shift)

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        super().prove(scope, sizes)
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
    **shared: Any,
) -> Data:
    """Mix the values that a row sees, weighted by softmax(query . key / temperature).

    `attention.attend` with the weights

        z[j] = rounding_shift_right(min(max(s) - s[j], limit[h]) * multiplier[h], score_shift)
        w[j] = exp2_negative(z[j])                          (A4, 14 fraction bits, max(w) = 2^14)

    multiplier * 2^-score_shift is the scale of a score times log2(e), times the temperature's
    inverse 1/sqrt(head_width), in units of 2^-10; `limit` is where a weight is zero anyway.  Both
    int32 [heads].  `shared`: the further operands of `attend`.
    """

    weigh = softmax_weigher(score_multiplier, score_limit, score_shift)
    return attend(weigh, query, key, value, **shared)


def softmax_weigher(
    score_multiplier: npt.NDArray[np.int32], score_limit: npt.NDArray[np.int32], score_shift: int
) -> Weigh:
    """The weights of every head."""

    def weigh(q: Int64, k: Int64, h: int) -> Int64:
        return attention_weights(q, k, score_multiplier[h], score_limit[h], score_shift)

    return weigh


def attention_weights(
    query: Integers,
    key: Integers,
    multiplier: np.integer | int,
    limit: np.integer | int,
    shift: int,
) -> Int64:
    """The weights w of `attention_softmax` for one head of one sentence.

    `query`: [rows, head_width] and `key`: [keys, head_width], int8 values; out: int64 [rows, keys]
    in [0, 2^14], the largest of a row being 2^14.
    """
    score = query.astype(np.int64) @ key.astype(np.int64).T
    distance = np.minimum(score.max(axis=1, keepdims=True) - score, np.int64(limit))
    return exp2_negative(rounding_shift_right(distance * np.int64(multiplier), shift))


assert EXP2_ONE == 2**WEIGHT_BITS
assert EXP2_FRACTION_BITS == 10
