"""Attention with a softmax in fixed point."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.reference.attention import (
    HEADS,
    MAX_KEYS,
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
from int8ref.reference.presence import need_each_other
from int8ref.spec.arithmetic import (
    EXP2_FRACTION_BITS,
    EXP2_MAX_INPUT,
    EXP2_ONE,
    INT32_MAX,
    MAX_SHIFT,
    TANH_BITS,
    exp2_negative,
    rounding_shift_right,
    soft_cap,
)
from int8ref.spec.operands import Constant, Sizes, Tensor, size
from int8ref.spec.scope import Scope, Tensors
from int8ref.spec.trace import note

Int32 = npt.NDArray[np.int32]
Reach = Annotated[int, Constant(0, MAX_KEYS - 1)]
CAP_BITS = 20
"""Fraction bits of a capped score."""

Change = Callable[[Int64, int, Int64], Int64]
"""(scores [rows, keys], index of a head, places of the rows) -> changed scores."""


class AttentionSoftmax(Attention, frozen=True, kw_only=True):
    """out = attention_softmax(query, key, value).

    With `addend`, `before` and `after`, each score has an addend that depends on the distance from
    the row to the key.  With `cap_multiplier` and `cap_shift`, the scores have a soft cap.
    """

    score_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)]
    score_limit: Annotated[str, Tensor("int32", (HEADS,), 1)]
    score_shift: Annotated[int, Constant(1, 30)]
    addend: Annotated[str, Tensor("int32", (HEADS, size("distances")))] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    before: Reach | msgspec.UnsetType = msgspec.UNSET
    after: Reach | msgspec.UnsetType = msgspec.UNSET
    cap_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)] | msgspec.UnsetType = msgspec.UNSET
    cap_shift: Annotated[int, Constant(1, MAX_SHIFT)] | msgspec.UnsetType = msgspec.UNSET

    @property
    def distances(self) -> int:
        """Number of addends of a head."""
        return (self.before or 0) + 1 + (self.after or 0)

    def weigher(self, tensors: Tensors) -> Weigh:
        multiplier, limit = tensors[self.score_multiplier], tensors[self.score_limit]
        addend = tensors[self.addend] if isinstance(self.addend, str) else None
        caps = tensors[self.cap_multiplier] if isinstance(self.cap_multiplier, str) else None
        change = changes(addend, self.before or 0, caps, self.cap_shift or 0)
        return softmax_weigher(multiplier, limit, self.score_shift, change)

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
        self._prove_addend(scope, sizes)

    def _prove_addend(self, scope: Scope, sizes: Sizes) -> None:
        """A row has a place among its keys, and all scores and their differences fit in int32."""
        given = [isinstance(x, int | str) for x in (self.addend, self.before, self.after)]
        scope.require(any(given) == all(given), "addend, before and after need each other")
        if isinstance(self.addend, str):
            has_place = self.sentence is None or sizes.rows == "source"
            uncapped = self.cap_multiplier is msgspec.UNSET
            scope.require(uncapped, "an addend beside a soft cap")
            scope.require(has_place, "rows of the target have no place in a source")
            low, high = scope.facts.range(self.addend)
            product = MAX_PRODUCT * self.head_width
            most = max(product + max(-low, high), 2 * product + high - low)
            scope.require(most <= INT32_MAX, f"scores may reach {most}, over 32 bits")


def attention_softmax(
    query: Int8,
    key: Int8,
    value: Int8,
    *,
    score_multiplier: npt.NDArray[np.int32],
    score_limit: npt.NDArray[np.int32],
    score_shift: int,
    addend: Int32 | None = None,
    before: int | None = None,
    after: int | None = None,
    cap_multiplier: Int32 | None = None,
    cap_shift: int | None = None,
    **shared: Any,
) -> Data:
    """Mix the values that a row sees, by the weights softmax(query . key / temperature).

    The function is `attention.attend`, and for head h its weights are

        s[j]       += addend[h, min(max(j - i, -before), after) + before]
        distance[j] = min(max(s) - s[j], score_limit[h])
        z[j] = rounding_shift_right(distance[j] * score_multiplier[h], score_shift)      (A1)
        w[j] = exp2_negative(z[j])         (A4; 14 fraction bits, in [0, 2^14], max(w) = 2^14)

    If the row sees more than 1024 keys, max(s) is the largest score of the block of key j, and for
    each block

        far[b] = rounding_shift_right((max over all s - max(s)) * score_multiplier[h], score_shift)

    With `cap_multiplier` and `cap_shift`, capped scores replace the scores s:

        c[j] = rounding_shift_right(soft_cap(s[j], cap_multiplier[h], cap_shift), 10)    (A8, A1)

    A unit of c is cap * 2^-20.  The error of c is below 0.8 units, beside the error of
    cap_multiplier.

    `shared` are the operands of `attend`, with their ranges.  The other operands are

        score_multiplier  int32 [heads], in [1, 2^31)
        score_limit       int32 [heads], in [1, 2^31)
        score_shift       1 to 30
        addend            int32 [heads, before + 1 + after]; None adds nothing
        before, after     0 to 2^17 - 1; None without an addend
        cap_multiplier    int32 [heads], in [1, 2^31), or None; None beside an addend
        cap_shift         1 to 62, or None

    i is the place of the row: the number of keys before its own key.  In a history, the last key is
    its own key.  With `sentence`, row r is row r - key_offsets[sentence[r]] of its sentence, thus
    queries must be rows of the source.  Keys that are farther away than `before` or `after` have
    the addend of this distance.  In a history, no key is after its row.

    score_multiplier * 2^-score_shift is the real value of a unit of the score, or of c, times
    log2(e) / temperature, in units of 2^-10.  The usual temperature is sqrt(head_width).
    All scores that lie `score_limit` or more below the largest score have the same weight, usually
    0.  A valid Program has score_limit * score_multiplier + 2^(score_shift - 1) < 2^31 and
    z <= 2^14.  With an addend and p = 2^14 * head_width, it has p + |addend| < 2^31 and
    2 p + max(addend) - min(addend) < 2^31, so that scores and their differences fit in int32.

    The shift of z and the last shift of A4 round half up; the inner shifts of A4 round down.

    Raises `OverflowError` if z exceeds 2^14.  Raises `ValueError` if only some of `addend`,
    `before` and `after` are given, if only one of `cap_multiplier` and `cap_shift` is given, or if
    both an addend and a cap are given.  Raises the errors of `attend`.

    Source: Vaswani et al. 2017, Eq. 1; for the addend Raffel et al. 2020, section 2.1, and Press et
    al. 2022, section 3; for the cap Gemma Team 2024b (Gemma 2), section 2.
    """
    op = "attention_softmax"
    need_each_other(op, addend=addend, before=before, after=after)
    need_each_other(op, cap_multiplier=cap_multiplier, cap_shift=cap_shift)
    if addend is not None and cap_multiplier is not None:
        raise ValueError(f"{op}: an addend beside a soft cap")
    change = changes(addend, before or 0, cap_multiplier, cap_shift or 0)
    weigh = softmax_weigher(score_multiplier, score_limit, score_shift, change)
    return attend(weigh, query, key, value, **shared)


def softmax_weigher(
    score_multiplier: Int32, score_limit: Int32, score_shift: int, change: Change | None = None
) -> Weigh:
    """The `Weigh` of `attention_weights`; `change` changes the scores before."""

    def weigh(q: Int64, k: Int64, h: int, places: Int64) -> Weights:
        score = q @ k.T
        note("s", score)
        if change is not None:
            score = change(score, h, places)
            note("changed", score)
        return attention_weights(score, score_multiplier[h], score_limit[h], score_shift)

    return weigh


def changes(
    addend: Int32 | None, before: int, cap_multiplier: Int32 | None, cap_shift: int
) -> Change | None:
    """What changes the scores: an addend, a soft cap, or nothing."""
    if addend is not None:
        return addition(addend, before)
    return None if cap_multiplier is None else cap(cap_multiplier, cap_shift)


def addition(addend: Int32, before: int) -> Change:
    """The change of `attention_softmax` by an addend."""

    def change(score: Int64, h: int, places: Int64) -> Int64:
        columns = np.arange(score.shape[1]) - places[:, None] + before
        found: Int64 = score + addend[h, np.clip(columns, 0, addend.shape[1] - 1)]
        return found

    return change


def cap(multiplier: Int32, shift: int) -> Change:
    """The change of `attention_softmax` by a soft cap."""

    def change(score: Int64, h: int, places: Int64) -> Int64:
        found = soft_cap(score, int(multiplier[h]), shift)
        return rounding_shift_right(found, TANH_BITS - CAP_BITS)

    return change


def attention_weights(
    score: Int64, multiplier: np.integer | int, limit: np.integer | int, shift: int
) -> Weights:
    """The weights of `attention_softmax` for the scores [rows, keys] of one head.

    The largest weight of a row in a block is 2^14.
    """
    keys = score.shape[1]
    top = np.maximum.reduceat(score, starts(keys), axis=1)
    distance = np.minimum(of_keys(top, keys) - score, np.int64(limit))
    z = rounding_shift_right(distance * np.int64(multiplier), shift)
    note("z", z)
    below = top.max(axis=1, keepdims=True) - top
    return Weights(exp2_negative(z), rounding_shift_right(below * np.int64(multiplier), shift))


MAX_PRODUCT = 128 * 128
"""Largest magnitude of a product of two int8 numbers."""

assert EXP2_ONE == 2**WEIGHT_BITS
assert EXP2_FRACTION_BITS == 10
