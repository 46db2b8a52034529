"""A gated hidden layer: an activated gate times a product (Shazeer 2020, Eq. 5)."""

from __future__ import annotations

from dataclasses import dataclass

from int8ref.reference.multiply import Multiply as Instruction
from weights_import.float_program import Operation
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import least_result
from weights_import.lowering.products import linear
from weights_import.operations.linear import product_of
from weights_import.run import Run
from weights_import.tensors import Float32


@dataclass(frozen=True, kw_only=True)
class Multiply(Operation):
    """y = a * b: `a` an activated gate in 16 bits, `b` a product in 8."""

    a: str
    b: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.a, self.b

    @property
    def factors(self) -> tuple[str, ...]:
        return (self.a,)

    def run(self, run: Run) -> Float32:
        return run.values[self.a] * run.values[self.b]

    def lower(self, emitter: Emitter) -> None:
        opened, inner = emitter.scaled[self.a], product_of(emitter, self.b)
        channels = emitter.observed.rows[self.b].shape[1]
        groups = 1 if emitter.options.scales == "tensor" else channels
        scale = emitter.data_scale(self.b, groups)
        b = linear(emitter, self.b, [inner.name], emitter.scaled[inner.x], scale)
        emitter.means(b, self.b)
        product = opened.scale * b.scale
        wanted = emitter.input_scale(self.out, SPREAD)
        least, dynamic = least_result(product, 1), emitter.options.dynamic_gated
        found, limit = emitter.before_products(self.out, wanted, least, dynamic)
        fields = emitter.factors(self.out, product / found.scale, 1)
        emitter.add(Instruction(a=opened.name, b=b.name, limit=limit, out=found.name, **fields))
        emitter.scaled[self.out] = emitter.narrow(self.out, found)
