"""The activation of a hidden layer, or of its gate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from int8ref.reference.interpolate import Interpolate
from int8ref.reference.linear import MIN_FACTOR_SHIFT
from int8ref.reference.lookup import Lookup
from weights_import.arithmetic.activations import Activation as Name
from weights_import.arithmetic.activations import activate
from weights_import.float_program import Operation
from weights_import.lowering.activation_table import activation_table, wide_table
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import least_result
from weights_import.lowering.products import linear, rows_of, wide
from weights_import.lowering.scale_propagation import DATA_MAX
from weights_import.lowering.scaled import WIDE_BITS, Scaled
from weights_import.operations.linear import product_of
from weights_import.run import Run
from weights_import.tensors import Float32

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
        return emitter.rescale(self.out, before, low=0)

    def _table(self, emitter: Emitter, name: str, x: Scaled) -> Scaled:
        """A table for the 255 integers of the product."""
        least = least_result(rows_of(emitter, [name], x).scale.max(), MIN_FACTOR_SHIFT)
        function = partial(activate, self.function)
        made = activation_table(function, emitter.observed.rows[self.x], float(least))
        scale, after = np.array([made.before.scale]), made.after
        before = linear(emitter, self.x, [name], x, scale, made.before.zero)
        table = emitter.tensor(f"{self.out}.table", made.table)
        emitter.add(Lookup(x=before.name, table=table, out=self.out))
        return Scaled(self.out, np.array([after.scale]), zero=after.zero)

    def _opened(self, emitter: Emitter, name: str, x: Scaled) -> Scaled:
        """A gate, all in 16 bits."""
        scale = emitter.wide_scale(self.x)
        before = wide(emitter, f"{self.x}.wide", name, rows_of(emitter, [name], x), x, scale)
        table, unit = wide_table(partial(activate, self.function), float(before.scale[0]))
        kept = emitter.tensor(f"{self.out}.table", table)
        emitter.add(Interpolate(x=before.name, table=kept, out=self.out))
        return Scaled(self.out, np.array([unit]))
