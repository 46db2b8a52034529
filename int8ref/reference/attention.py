"""The shared part of all attention: the keys that a row sees, and the weighted mean of their
values."""

from collections.abc import Callable, Iterator
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.reference.presence import need_each_other
from int8ref.spec.arithmetic import (
    DATA_MAX,
    FACTOR_BITS,
    FACTOR_MAX_INPUT,
    INT32_MAX,
    MAX_SHIFT,
    WIDE_MAX,
    bit_length,
    exp2_factor,
    reciprocal,
    requantize,
    rounding_shift_right,
)
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import Constant, Input, Offsets, Rows, Sizes, Tensor, limited, size
from int8ref.spec.scope import MAX_WIDTH, Domain, Scope, Tensors, ValueType
from int8ref.spec.trace import note, of_head

MAX_KEYS = 1 << 17
"""Largest number of keys that a row may see."""
BLOCK_KEYS = 1024
"""Number of keys of a block.  The sum of 1024 weights of 2^14 times data of 127 stays within
int32."""
WEIGHT_BITS = 14
"""A weight is at most 2^WEIGHT_BITS."""
SUM_BITS = 24
"""The sum of the weights of a block, and the joined sum of all blocks, are at most 2^SUM_BITS."""
MULTIPLIER_BITS = 30
HEADS = size("heads")

Int8 = npt.NDArray[np.int8]
Data = npt.NDArray[np.int8] | npt.NDArray[np.int16]
Int64 = npt.NDArray[np.int64]


class Weights(NamedTuple):
    """The weights of the keys, and how far each block lies below the largest block.

    weight  int64 [rows, keys] in [0, 2^14]; the largest weight of a row in a block is at least 2^13
    far     int64 [rows, blocks]: octaves with 10 fraction bits, at least 0, and 0 for one block of
            a row.  The true weight of a key is its `weight` times 2^(-far / 2^10)
    """

    weight: Int64
    far: Int64

    @property
    def whole(self) -> Int64:
        """The weights of all keys in one unit, [rows, keys]: for one block, `weight`."""
        if self.far.shape[1] == 1:
            return self.weight
        factor = exp2_factor(np.minimum(self.far, FACTOR_MAX_INPUT))
        return self.weight * of_keys(factor, self.weight.shape[1])


Weigh = Callable[[Int64, Int64, int, Int64], Weights]
"""(queries [rows, head_width], keys [keys, head_width], index of a head, places [rows]) -> weights.

The place of a row is the number of keys before its own key, if it sees its own key.
"""


class Attention(Instruction, frozen=True, kw_only=True):
    """Operands of every attention.

    Each `group` of heads of queries shares one head of keys and values; the default is a group of
    one.  With `sentence` and `key_offsets`, keys and values are source rows, and a row sees the
    source rows of its sentence.  Without them, keys and values are histories, and a row sees its
    own history: all of it, or with `window` only its last steps.
    """

    query: Annotated[str, Rows("int8", None)]
    key: Annotated[str, Rows("int8", None, "keys_of")]
    value: Annotated[str, Rows("int8", None, "keys_of")]
    sentence: Annotated[str, Input("sentence")] | None = None
    key_offsets: Annotated[str, Offsets()] | None = None
    heads: Annotated[int, Constant(1, 256)]
    head_width: Annotated[int, Constant(1, 512)]
    query_column: Annotated[int, Constant(0, MAX_WIDTH)]
    key_column: Annotated[int, Constant(0, MAX_WIDTH)]
    value_column: Annotated[int, Constant(0, MAX_WIDTH)]
    context_multiplier: Annotated[str, Tensor("int32", (HEADS,), 1)]
    context_shift: Annotated[str, Tensor("int8", (HEADS,), 20, 38)]
    limit: Annotated[int, Constant(1, WIDE_MAX)] = DATA_MAX
    group: Annotated[int, Constant(1, HEADS)] | msgspec.UnsetType = msgspec.UNSET
    window: Annotated[int, Constant(1, MAX_WIDTH)] | msgspec.UnsetType = msgspec.UNSET
    out: Annotated[str, limited(size("width"))]

    @property
    def width(self) -> int:
        """Number of used query columns, and of result columns."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """Number of used key columns, and of used value columns: one head for each group."""
        return self.heads // (self.group or 1) * self.head_width

    @property
    def keys_of(self) -> Domain:
        """The domain of the keys."""
        return "history" if self.sentence is None else "source"

    def weigher(self, tensors: Tensors) -> Weigh:
        """The function that turns scores into weights."""
        raise NotImplementedError

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        if isinstance(self.group, int):
            shared = self.heads % self.group == 0
            scope.require(shared, f"{self.heads} heads in groups of {self.group}")
        for part, used in (
            ("query", self.width),
            ("key", self.key_width),
            ("value", self.key_width),
        ):
            most = sizes.value(f"{part}.width") - used
            scope.constant(f"{part}_column", getattr(self, f"{part}_column"), 0, most)
        if self.sentence is None:
            scope.require(self.key_offsets is None, "key_offsets need a sentence")
            scope.value(self.query, "int8", domain="target")
        else:
            scope.require(self.key_offsets is not None, "a sentence needs key_offsets")
            scope.require(self.window is msgspec.UNSET, "a window is of a history")

    def work(self, values: dict[str, ValueType], tensors: Tensors, keys: int) -> int:
        return 2 * keys * self.heads * self.head_width


def attend(
    weigh: Weigh,
    query: Int8,
    key: Int8,
    value: Int8,
    sentence: npt.NDArray[np.int32] | None,
    key_offsets: npt.NDArray[np.int32] | None,
    heads: int,
    head_width: int,
    query_column: int,
    key_column: int,
    value_column: int,
    context_multiplier: npt.NDArray[np.int32],
    context_shift: npt.NDArray[np.int8],
    limit: int,
    group: int | None = None,
    window: int | None = None,
) -> Data:
    """Mix the values that a row sees, by weights that are normalised to sum 1.

    For row r, head h, g = floor(h / group), and the keys j that row r sees:

        s[j]   = sum_d query[r, h, d] * key[j, g, d]                                  (int32)
        w[j]   = weigh(s)[j]                          (int32, in [0, 2^14], max(w) >= 2^13)
        sum    = sum_j w[j]                                                           (int32)
        acc[d] = sum_j w[j] * value[j, g, d]                                          (int32)
        (inverse, bits) = reciprocal(sum)                                                (A3)
        m      = floor(inverse * context_multiplier[h] / 2^30)
        out[r, h, d] = requantize(acc[d], m, bits + context_shift[h] - 30, -limit, limit)  (A2)

    A row that sees more than 1024 keys takes them in blocks of 1024 keys, in their order; the last
    block may have fewer keys.  Each block b has weights, a sum and an acc of its own, as above.
    Let far[b] be the distance from the largest score of the row to the largest score of the block,
    in octaves with 10 fraction bits (see `Weights`).  Then

        f[b]        = exp2_factor(min(far[b], 22 * 2^10))                                (A9)
        all_sum     = sum_b sum[b] * f[b]                                             (int64)
        all_acc[d]  = sum_b acc[b, d] * f[b]                                          (int64)
        drop        = bit_length(all_sum - 1) - 24                               (at least 9)
        sum         = rounding_shift_right(all_sum, drop)                (in [2^23, 2^24])  (A1)
        acc[d]      = rounding_shift_right(all_acc[d], drop)                    (int32)  (A1)

    and the rest is as above.  Therefore the last steps have the same widths for any number of keys.

    Each of the operands `query`, `key` and `value` may have more columns than attention uses:

        query   int8 [rows, query_width]; heads * head_width columns from query_column on
        key     int8, see below; heads / group * head_width columns from key_column on
        value   int8, see below; heads / group * head_width columns from value_column on

    With `sentence` and `key_offsets`, `key` and `value` are int8 [source rows, width], and a row of
    sentence b = sentence[r] sees the source rows key_offsets[b] to key_offsets[b + 1] - 1.  Without
    them, `key` and `value` are histories, int8 [rows, steps, width], and row r sees key[r], which
    ends with its own step.  Therefore no mask is needed.  With `window`, row r sees only the last
    `window` steps of key[r].

        sentence            int32 [rows], in [0, sentences)
        key_offsets         int32 [sentences + 1], never falling; a row sees 1 to 2^17 keys
        heads               1 to 256
        head_width          1 to 512
        query_column        0 to query_width - heads * head_width
        key_column          0 to width of key - heads / group * head_width
        value_column        0 to width of value - heads / group * head_width
        context_multiplier  int32 [heads], in [1, 2^31)
        context_shift       int8 [heads], 20 to 38
        limit               1 to 32767
        group               1 to heads, a divisor of heads; None is 1
        window              1 to 2^20, for histories; None is all steps
        out                 [rows, heads * head_width] in [-limit, limit];
                            int8 for limit <= 127, else int16

    context_multiplier * 2^-context_shift is the scale of value divided by the scale of out.
    `inverse` and m are rounded down; out is rounded once, half up.  There is one division for each
    row and head.  The scale of the weights cancels, because sum(w) has the same scale.

    Raises `OverflowError` if a row sees no key or more than 2^17 keys, and `ValueError` if only one
    of `sentence` and `key_offsets` is given, or a `window` with them.

    Source: Lin et al. 2020, Eq. 12; Ainslie et al. 2023 (grouped-query attention); Beltagy et al.
    2020, section 3.1 (sliding window); Milakov and Gimelshein 2018 (the largest score of each
    block).
    """
    need_each_other("attention", sentence=sentence, key_offsets=key_offsets)
    if sentence is not None and window is not None:
        raise ValueError("attention: a window is of a history")
    width, shared = heads * head_width, group or 1
    out = np.zeros((len(query), width), np.int8 if limit <= DATA_MAX else np.int16)
    q = query[:, query_column : query_column + width].astype(np.int64)
    k = key[..., key_column : key_column + width // shared].astype(np.int64)
    v = value[..., value_column : value_column + width // shared].astype(np.int64)
    last = 0 if window is None else -window
    if sentence is None:
        k, v = k[:, last:], v[:, last:]
    for rows, keys, places in _seen(len(query), k.shape[1], sentence, key_offsets):
        if not 0 < len(k[keys]) <= MAX_KEYS:
            raise OverflowError(f"a row sees {len(k[keys])} keys, not 1 to {MAX_KEYS}")
        for h in range(heads):
            columns, seen = (
                slice(head * head_width, (head + 1) * head_width) for head in (h, h // shared)
            )
            with of_head(rows, h):
                weights = weigh(q[rows, columns], k[keys][:, seen], h, places)
                weight = weights.weight
                totals, accs = _block_sums(weight, v[keys][:, seen])
                total, acc = totals, accs[:, 0]
                if totals.shape[1] > 1:
                    total, acc = joined(weights.far, totals, accs)
                inverse, bits = reciprocal(total)
                multiplier = (inverse * context_multiplier[h]) >> MULTIPLIER_BITS
                shift = bits + int(context_shift[h]) - MULTIPLIER_BITS
                sums = accs.reshape(len(accs), -1)
                for name, x in (("w", weight), ("sum", totals), ("m", multiplier), ("acc", sums)):
                    note(name, x)
                out[rows, columns] = requantize(acc, multiplier, shift, -limit, limit)
    return out


def _block_sums(weight: Int64, value: Int64) -> tuple[Int64, Int64]:
    """(sum [rows, blocks], acc [rows, blocks, head_width]) of the blocks of keys."""
    first = starts(len(value))
    total = np.add.reduceat(weight, first, axis=1)
    parts = [weight[:, n : n + BLOCK_KEYS] @ value[n : n + BLOCK_KEYS] for n in first]
    return total, np.stack(parts, axis=1)


def joined(far: Int64, total: Int64, acc: Int64) -> tuple[Int64, Int64]:
    """(sum [rows, 1], acc [rows, head_width]) of several blocks, as `attend` joins them.

    `far` and `total` are [rows, blocks], and `acc` is [rows, blocks, head_width].
    """
    factor = exp2_factor(np.minimum(far, FACTOR_MAX_INPUT))
    all_sum = (total * factor).sum(axis=1, keepdims=True)
    all_acc = (acc * factor[:, :, None]).sum(axis=1)
    drop = bit_length(all_sum - 1) - SUM_BITS
    sums = rounding_shift_right(all_sum, drop), rounding_shift_right(all_acc, drop)
    names = ("far", "f", "all_sum", "all_acc", "drop", "joined_sum", "joined_acc")
    for name, x in zip(names, (far, factor, all_sum, all_acc, drop, *sums), strict=True):
        note(name, x)
    return sums


def starts(keys: int) -> npt.NDArray[np.int64]:
    """The first key of each block."""
    return np.arange(0, keys, BLOCK_KEYS)


def of_keys(blocks: Int64, keys: int) -> Int64:
    """The number of the block of each key: [rows, blocks] -> [rows, keys]."""
    return blocks[:, np.arange(keys) // BLOCK_KEYS]


def _seen(
    rows: int,
    steps: int,
    sentence: npt.NDArray[np.int32] | None,
    key_offsets: npt.NDArray[np.int32] | None,
) -> Iterator[tuple[slice | npt.NDArray[np.intp], slice | int, Int64]]:
    """(rows, keys that these rows see, places of the rows; see `Weigh`).

    `steps` is the length of each history.
    """
    if sentence is None or key_offsets is None:
        for r in range(rows):
            yield slice(r, r + 1), r, np.array([steps - 1])
    else:
        for b in np.unique(sentence):
            own = np.flatnonzero(sentence == b)
            yield own, slice(key_offsets[b], key_offsets[b + 1]), own - np.int64(key_offsets[b])


assert BLOCK_KEYS * 2**WEIGHT_BITS == 2**SUM_BITS
assert 2**SUM_BITS * 127 <= INT32_MAX
assert MAX_KEYS // BLOCK_KEYS * 2 ** (SUM_BITS + FACTOR_BITS) * 128 < 2**MAX_SHIFT
