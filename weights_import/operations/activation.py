"""The activation of a hidden layer, or of its gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from int8ref.reference.interpolate import Interpolate
from int8ref.reference.linear import MIN_FACTOR_SHIFT
from int8ref.reference.lookup import Lookup
from weights_import.arithmetic.activations import Activation as Name
from weights_import.arithmetic.activations import activate
from weights_import.float_program import Operation
from weights_import.lowering.activation_table import Interval, activation_table, wide_table
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import least_result
from weights_import.lowering.products import linear, rows_of, wide
from weights_import.lowering.scale_propagation import DATA_MAX
from weights_import.lowering.scaled import WIDE_BITS, Scaled
from weights_import.operations.linear import Linear, product_of
from weights_import.run import Run
from weights_import.tensors import Float32, Float64

MOST_BLOCKS, LEAST_BLOCK = 64, 16
"""The most blocks of channels, and the least channels of a block."""
ALIKE = 2.0
"""Channels of one size: the largest is at most this factor larger than the others."""
RELU_ZERO = -DATA_MAX
"""The integer that stands for 0 if nothing is negative: 255 integers instead of 128."""


@dataclass(frozen=True, kw_only=True)
class Activation(Operation):
    """y = f(x) for each number; see `arithmetic.activations` for the functions.

    `x` is a product.  A gate stays in 16 bits, because it is multiplied before it is rounded.
    """

    x: str
    function: Name

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    def run(self, run: Run) -> Float32:
        return activate(self.function, run.values[self.x])

    def lower(self, emitter: Emitter) -> None:
        product = product_of(emitter, self.x)
        x = emitter.scaled[product.x]
        gates = any(self.out in user.factors for user in emitter.consumers[self.out])
        form = self._opened if gates else self._relu if self.function == "relu" else self._table
        emitter.scaled[self.out] = form(emitter, product.name, x)

    def _relu(self, emitter: Emitter, name: str, x: Scaled) -> Scaled:
        """ReLU is the lower limit of the 8 bits.  The scale is static, or each row has a shift."""
        if not emitter.options.dynamic:
            scale = emitter.input_scale(self.out, SPREAD, RELU_ZERO)
            return linear(emitter, self.out, [name], x, scale, RELU_ZERO)
        scale = emitter.input_scale(self.out, SPREAD) * 2.0**-WIDE_BITS
        before = wide(emitter, f"{self.out}.wide", name, rows_of(emitter, [name], x), x, scale)
        emitter.means(before, self.x)
        return emitter.rescale(self.out, before, low=0)

    def _table(self, emitter: Emitter, name: str, x: Scaled) -> Scaled:
        """A table for the 255 integers of the product, or one for each block of its channels."""
        rows, observed = rows_of(emitter, [name], x), emitter.observed.rows[self.x]
        blocks, width = self._blocks(emitter), observed.shape[1]
        function = partial(activate, self.function)
        parts = zip(np.split(observed, blocks, 1), np.split(rows.scale, blocks), strict=True)
        made = [
            activation_table(function, part, least_table(scale), blocks if blocks > 1 else 0)
            for part, scale in parts
        ]
        before = linear(emitter, self.x, [name], x, *channels([t.before for t in made], width))
        emitter.means(before, self.x)
        table = emitter.tensor(f"{self.out}.table", np.concatenate([t.table for t in made]))
        fields = {"blocks": blocks} if blocks > 1 else {}
        emitter.add(Lookup(x=before.name, table=table, out=self.out, **fields))
        scale, zero = channels([t.after for t in made], width)
        return Scaled(self.out, scale, zero=zero)

    def _blocks(self, emitter: Emitter) -> int:
        """The number of blocks of channels that have a table each.

        An encoder alone has several, because the channels of its hidden layers differ much in size.
        """
        width = emitter.observed.rows[self.x].shape[1]
        if not self._sorts(emitter):
            return 1
        fitting = (n for n in range(MOST_BLOCKS, 0, -1) if width % n == 0)
        return next((n for n in fitting if width // n >= LEAST_BLOCK), 1)

    def _sorts(self, emitter: Emitter) -> bool:
        """Whether channels may have another order: products alone read them."""
        users = emitter.consumers[self.out]
        return emitter.model.encodes and all(isinstance(user, Linear) for user in users)

    def prepare(self, emitter: Emitter) -> None:
        """Sort the channels by their largest results, so that a block has channels of one size."""
        if not self._sorts(emitter):
            return
        low, high = (activate(self.function, end) for end in emitter.observed.extremes(self.x))
        largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float64)
        order = in_blocks(largest, emitter.column_sizes(self.out), self._blocks(emitter))
        emitter.observed.rows[self.x] = emitter.observed.rows[self.x][:, order]
        product, tensors = product_of(emitter, self.x), emitter.model.tensors
        for name in product.weights:
            if name in tensors:
                stored = tensors.stored(name)
                tensors.put(name, stored.changed(stored.shape, lambda x: x[order]))
        for user in emitter.consumers[self.out]:
            assert isinstance(user, Linear)
            name = user.weights[0]
            stored = tensors.stored(name)
            tensors.put(name, stored.changed(stored.shape, lambda x: x[:, order]))

    def _opened(self, emitter: Emitter, name: str, x: Scaled) -> Scaled:
        """A gate, all in 16 bits."""
        scale = emitter.wide_scale(self.x)
        before = wide(emitter, f"{self.x}.wide", name, rows_of(emitter, [name], x), x, scale)
        emitter.means(before, self.x)
        table, unit = wide_table(partial(activate, self.function), float(before.scale[0]))
        kept = emitter.tensor(f"{self.out}.table", table)
        emitter.add(Interpolate(x=before.name, table=kept, out=self.out))
        return Scaled(self.out, np.array([unit]))


def in_blocks(largest: Float64, weights: Float64 | None, blocks: int) -> NDArray[np.intp]:
    """An order of channels in which every block has channels of one size, small ones first.

    A few channels are often much larger than all others.  Channels that shared their block would
    have their coarse scale, and weights that this scale makes the largest of their rows, so that
    all other weights lose bits.  Therefore a block takes only channels within a factor of ALIKE of
    its largest one, and is filled up with the channels whose `weights` are the smallest.  Without
    weights, channels are in the order of their size.
    """
    order = np.argsort(largest, kind="stable")
    if weights is None or blocks == 1:
        return order
    rest, each = order[::-1], len(order) // blocks
    found: list[NDArray[np.intp]] = []
    while len(rest):
        alike = rest[:each][largest[rest[:each]] * ALIKE >= largest[rest[0]]]
        others = rest[len(alike) :]
        by_weight, free = np.argsort(weights[others], kind="stable"), each - len(alike)
        found = [others[by_weight[:free]], alike, *found]
        rest = others[np.sort(by_weight[free:])]
    return np.concatenate(found)


def least_table(scale: Float64) -> float:
    """The least scale of the inputs of a table, for the scales of the products of its channels."""
    return float(least_result(scale.max(), MIN_FACTOR_SHIFT))


def channels(intervals: Sequence[Interval], width: int) -> tuple[Float64, int | NDArray[np.int64]]:
    """Scale and zero of `width` channels in equal blocks: one number, or one for each channel."""
    if len(intervals) == 1:
        return np.array([intervals[0].scale]), intervals[0].zero
    each = width // len(intervals)
    scales, zeros = ([getattr(i, name) for i in intervals] for name in ("scale", "zero"))
    return np.repeat(scales, each), np.repeat(np.array(zeros, np.int64), each)
