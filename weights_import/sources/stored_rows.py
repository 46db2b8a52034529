"""Changes of a tensor at each reading: joined matrices apart, rows in another order, other scales.

Rows are outputs of a product, thus the same changes fit its weight [out, in] and its bias [out].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from weights_import.errors import CheckpointError
from weights_import.operations.heads import Heads
from weights_import.tensors import Float32, Stored


def part(
    tensor: Stored, blocks: tuple[int, ...], axis: int, first: int, count: int = 1
) -> Stored:  # fmt: skip
    """`count` blocks from the block `first` on along an axis, of rows that `blocks` divide.

    Raises CheckpointError for another number of rows.
    """
    rest = _rest(tensor, math.prod(blocks))
    rows = math.prod(blocks) // blocks[axis] * count
    at = (*(slice(None) for _ in range(axis)), slice(first, first + count))
    return tensor.changed(
        (rows, *rest),
        lambda x: np.ascontiguousarray(x.reshape(*blocks, *rest)[at].reshape(rows, *rest)),
    )


def projection(tensor: Stored, heads: Heads, name: str) -> Stored:
    """The rows of the "query", "key" or "value" of a matrix that has all three, in this order.

    Raises CheckpointError for another number of rows.
    """
    count, shared = heads.count, heads.key_heads
    blocks = {"query": (0, count), "key": (count, shared), "value": (count + shared, shared)}
    return part(tensor, (count + 2 * shared, heads.size), 0, *blocks[name])


def halves(tensor: Stored, count: int, size: int, pairs: int) -> Stored:
    """The rows of `count` heads of a size, whose first columns are pairs of neighbours, in the
    order of Heads: column i of each pair, then column i + pairs.

    Raises CheckpointError for another number of rows.
    """
    rest = _rest(tensor, count * size)

    def change(x: Float32) -> Float32:
        heads = x.reshape(count, size, *rest)
        order = [heads[:, : 2 * pairs : 2], heads[:, 1 : 2 * pairs : 2], heads[:, 2 * pairs :]]
        return np.concatenate(order, axis=1).reshape(x.shape)

    return tensor.changed(tensor.shape, change)


def turned_scaled(tensor: Stored, heads: Heads, factor: float) -> Stored:
    """The rows of queries whose columns that positions turn are multiplied by a factor.

    Raises CheckpointError for another number of rows.
    """
    if factor == 1:
        return tensor
    rest = _rest(tensor, heads.width)
    turned = np.arange(heads.size) < 2 * len(heads.rotary)
    factors = np.where(turned, factor, 1.0).astype(np.float32).reshape(-1, *(1 for _ in rest))
    blocks = heads.count, heads.size, *rest
    return _revalued(tensor, lambda x: (x.reshape(blocks) * factors).reshape(x.shape))


def scaled(tensor: Stored, factor: float) -> Stored:
    """The tensor times a factor."""
    return tensor if factor == 1 else _revalued(tensor, lambda x: x * np.float32(factor))


def one_more(tensor: Stored) -> Stored:
    """The tensor plus one."""
    return _revalued(tensor, lambda x: x + np.float32(1))


def one_less(tensor: Stored) -> Stored:
    """The tensor minus one."""
    return _revalued(tensor, lambda x: x - np.float32(1))


def centred(tensor: Stored, count: int, size: int) -> Stored:
    """The rows of `count` heads of a size, minus the mean of the rows of each head.

    The norm by the root of the mean square of the result is the layer norm of each head.  Raises
    CheckpointError for another number of rows.
    """
    rest = _rest(tensor, count * size)

    def change(x: Float32) -> Float32:
        heads = x.reshape(count, size, *rest).astype(np.float64)
        total = heads[:, 0].copy()
        for i in range(1, size):
            total += heads[:, i]
        found: Float32 = (heads - total[:, None] / size).astype(np.float32).reshape(x.shape)
        return found

    return _revalued(tensor, change)


def joined(tensors: Sequence[Stored]) -> Stored:
    """Vectors of one length, one behind the other."""
    rows = len(tensors) * tensors[0].shape[0]
    return Stored(
        tensors[0].name, (rows,), lambda: np.concatenate([tensor.read() for tensor in tensors])
    )


def regrouped(tensor: Stored, order: NDArray[np.int64]) -> Stored:
    """The rows in another order; raises CheckpointError for another number of rows."""
    _rest(tensor, len(order))
    return tensor.changed(tensor.shape, lambda x: x[order])


def transposed(tensor: Stored) -> Stored:
    """The transposed matrix."""
    return tensor.changed(tensor.shape[::-1], lambda x: np.ascontiguousarray(x.T))


def later(tensor: Stored, first: int) -> Stored:
    """The rows from the row `first` on; raises CheckpointError for a tensor that has none."""
    if not tensor.shape or tensor.shape[0] <= first:
        raise CheckpointError(f"{tensor.name}: {list(tensor.shape)} has no row {first}")
    return tensor.changed((tensor.shape[0] - first, *tensor.shape[1:]), lambda x: x[first:])


def first_rows(tensor: Stored, most: int) -> Stored:
    """At most the first rows of a tensor."""
    if tensor.shape[0] <= most:
        return tensor
    return tensor.changed((most, *tensor.shape[1:]), lambda x: x[:most])


def _rest(tensor: Stored, rows: int) -> tuple[int, ...]:
    """The other dimensions; raises CheckpointError unless there are that many rows."""
    if tensor.shape[:1] != (rows,):
        raise CheckpointError(f"{tensor.name}: the shape {list(tensor.shape)} has not {rows} rows")
    return tensor.shape[1:]


def _revalued(tensor: Stored, change: Callable[[Float32], Float32]) -> Stored:
    """Other values, which are no numbers of bfloat16 any more."""
    return replace(tensor.changed(tensor.shape, change), bfloat16=False)
