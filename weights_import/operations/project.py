"""A product that is the residual stream itself: embeddings that a matrix widens."""

from __future__ import annotations

from dataclasses import dataclass

from weights_import.float_program import Operation
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import at_least, least_result
from weights_import.lowering.products import linear, rows_of, wide
from weights_import.lowering.scaled import WIDE_BITS, Scaled
from weights_import.operations.linear import product_of
from weights_import.run import Run
from weights_import.tensors import Float32


@dataclass(frozen=True, kw_only=True)
class Project(Operation):
    """y = x, for a product x that sums and products read."""

    x: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    def run(self, run: Run) -> Float32:
        return run.values[self.x]

    def lower(self, emitter: Emitter) -> None:
        """The product in 8 bits, and once more in 16 bits for the sums."""
        product = product_of(emitter, self.x)
        x = emitter.scaled[product.x]
        rows = rows_of(emitter, [product.name], x)
        scale = emitter.input_scale(self.out, SPREAD)
        scale = at_least(scale, least_result(rows.scale, 1).max() * 2.0**WIDE_BITS)
        short = linear(emitter, self.out, [product.name], x, scale)
        name = f"{self.out}.wide"
        long = wide(emitter, name, product.name, rows, x, short.scale * 2.0**-WIDE_BITS)
        emitter.scaled[self.out] = Scaled(self.out, short.scale, long.name)
