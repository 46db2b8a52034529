"""Attention with a softmax in fixed point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.arithmetic import (
    EXP2_FRACTION_BITS,
    EXP2_MAX_INPUT,
    EXP2_ONE,
    INT32_MAX,
    exp2_negative,
    reciprocal,
    requantize,
    rounding_shift_right,
)
from int8ref.instruction import Instruction, Result, Scope, Tensor, Value, ValueType

MAX_KEYS = 1024
"""Most keys a sentence may have: weights of 2^14 times data of 127 then sum within int32."""
MULTIPLIER_BITS = 30


class AttentionSoftmax(Instruction, frozen=True):
    """out = attention_softmax(query, key, value)."""

    query: Value
    key: Value
    value: Value
    sentence: Value
    key_offsets: Value
    heads: int
    head_width: int
    query_column: int
    key_column: int
    value_column: int
    score_multiplier: Tensor
    score_limit: Tensor
    score_shift: int
    context_multiplier: Tensor
    context_shift: Tensor
    out: Result

    def check(self, scope: Scope) -> None:
        rows = scope.input(self.sentence, "sentence")
        scope.constant("heads", self.heads, 1, 256)
        scope.constant("head_width", self.head_width, 1, 512)
        width = self.heads * self.head_width
        for name, column in (
            (self.query, self.query_column),
            (self.key, self.key_column),
            (self.value, self.value_column),
        ):
            found = scope.value(name, "int8")
            scope.constant("column", column, 0, found.width - width)
        scope.value(self.query, "int8", domain=rows.domain)
        keys = scope.value(self.key, "int8", domain="source")
        scope.value(self.value, "int8", domain=keys.domain)
        scope.value(self.key_offsets, "int32", 0, "sentence")
        scope.constant("score_shift", self.score_shift, 1, 30)
        multiplier = scope.tensor(self.score_multiplier, "int32", (self.heads,), 1)
        limit = scope.tensor(self.score_limit, "int32", (self.heads,), 1)
        largest = int((multiplier.astype(np.int64) * limit).max())
        scope.require(
            largest + 2 ** (self.score_shift - 1) <= INT32_MAX
            and (largest + 2 ** (self.score_shift - 1)) >> self.score_shift <= EXP2_MAX_INPUT,
            "scores may leave the range of exp2",
        )
        scope.tensor(self.context_multiplier, "int32", (self.heads,), 1)
        scope.tensor(self.context_shift, "int8", (self.heads,), 22, 38)
        scope.define(self.out, ValueType(rows.domain, "int8", width))


def attention_softmax(
    query: npt.NDArray[np.int8],
    key: npt.NDArray[np.int8],
    value: npt.NDArray[np.int8],
    sentence: npt.NDArray[np.int32],
    key_offsets: npt.NDArray[np.int32],
    heads: int,
    head_width: int,
    query_column: int,
    key_column: int,
    value_column: int,
    score_multiplier: npt.NDArray[np.int32],
    score_limit: npt.NDArray[np.int32],
    score_shift: int,
    context_multiplier: npt.NDArray[np.int32],
    context_shift: npt.NDArray[np.int8],
) -> npt.NDArray[np.int8]:
    """Mix the values of a sentence, weighted by softmax(query . key / temperature).

    For row r of sentence b = sentence[r], head h, and the keys j = key_offsets[b] to
    key_offsets[b+1] - 1 of that sentence (never another's, so there is no mask):

        s[j] = sum_d query[r, h, d] * key[j, h, d]                                   (int32)
        z[j] = rounding_shift_right(min(max(s) - s[j], limit[h]) * multiplier[h], score_shift)
        p[j] = exp2_negative(z[j])                            (A4, 14 fraction bits, max(p) = 2^14)
        acc[d] = sum_j p[j] * value[j, h, d]                                         (int32)
        out[r, h, d] = requantize(acc[d], m, k + context_shift[h] - 30)
            with (r, k) = reciprocal(sum(p)) (A3) and m = floor(r * context_multiplier[h] / 2^30)

    so a row costs one division, and the sum of the weights cancels exactly as in Lin et al. 2020
    (Eq. 12).  `query`, `key`, `value`: int8 [rows, width], of which heads * head_width columns from
    the given column on are used; `sentence`: int32 [query rows]; `key_offsets`: int32
    [sentences + 1]; out: int8 [query rows, heads * head_width] in [-127, 127].

    multiplier * 2^-score_shift is the scale of a score times log2(e), times the temperature's
    inverse 1/sqrt(head_width), in units of 2^-10; `limit` is where a weight is zero anyway.
    context_multiplier * 2^-context_shift is the scale of value over that of out.  At most 1024 keys
    a sentence.  Raises `OverflowError` beyond.
    """
    width = heads * head_width
    out = np.zeros((len(query), width), np.int8)
    q = query[:, query_column : query_column + width].astype(np.int64)
    k = key[:, key_column : key_column + width].astype(np.int64)
    v = value[:, value_column : value_column + width].astype(np.int64)
    for b in np.unique(sentence):
        rows = np.flatnonzero(sentence == b)
        keys = slice(key_offsets[b], key_offsets[b + 1])
        if not 0 < keys.stop - keys.start <= MAX_KEYS:
            raise OverflowError(
                f"sentence {b} has {keys.stop - keys.start} keys, not 1 to {MAX_KEYS}"
            )
        for h in range(heads):
            columns = slice(h * head_width, (h + 1) * head_width)
            score = q[rows, columns] @ k[keys, columns].T
            distance = np.minimum(score.max(axis=1, keepdims=True) - score, score_limit[h])
            weight = exp2_negative(
                rounding_shift_right(distance * score_multiplier[h], score_shift)
            )
            inverse, bits = reciprocal(weight.sum(axis=1, keepdims=True))
            multiplier = (inverse * context_multiplier[h]) >> MULTIPLIER_BITS
            shift = bits + int(context_shift[h]) - MULTIPLIER_BITS
            acc = weight @ v[keys, columns]
            out[rows, columns] = requantize(acc, multiplier, shift)
    return out


assert MAX_KEYS * EXP2_ONE * 127 <= INT32_MAX
assert EXP2_FRACTION_BITS == 10
