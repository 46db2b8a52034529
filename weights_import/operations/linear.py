"""A matrix product with a bias: y = x W^T + b."""

from __future__ import annotations

from dataclasses import dataclass

from weights_import.arithmetic.column_sizes import column_sizes
from weights_import.arithmetic.product import packed, product
from weights_import.float_program import Operation
from weights_import.lowering import products
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.scaled import Scaled
from weights_import.run import Run
from weights_import.tensors import Float32, Float64


@dataclass(frozen=True, kw_only=True)
class Linear(Operation):
    """y = x W^T + b for W = `name`.weight [out, in]; b = `name`.bias may be absent.

    A product emits no instruction by itself.  The operation that reads the product asks for
    accumulators, or for 8 or 16 bits on its own scale.  It joins products that have one input.
    Only the product of the logits emits its accumulators itself.
    """

    x: str
    name: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def weights(self) -> tuple[str, ...]:
        return f"{self.name}.weight", f"{self.name}.bias"

    @property
    def lazy(self) -> bool:
        return True

    def run(self, run: Run) -> Float32:
        return run.product(self.name, run.values[self.x])

    def lower(self, emitter: Emitter) -> None:
        if self.out == emitter.model.logits:
            x = emitter.scaled[self.x]
            stack = "encoder" if self.out in emitter.model.encoder else "decoder"
            emitter.scaled[self.out] = products.logits(emitter, f"{stack}.logits", self.name, x)

    def branch(self, emitter: Emitter) -> Scaled:
        made = products.accumulate(emitter, self.name, emitter.scaled[self.x])
        return emitter.means(made, self.out)

    def column_sizes(self, emitter: Emitter, value: str) -> Float64 | None:
        name = f"{self.name}.weight"
        if self.out == emitter.model.logits and emitter.model.tensors.tied(name):
            return None  # the other operation knows nothing of these scales
        return column_sizes(emitter.model.tensors[name])

    def proportions(self, emitter: Emitter, value: str) -> Float64 | None:
        return emitter.model.tied.get(f"{self.name}.weight")

    def absorbs(self, emitter: Emitter, value: str) -> bool:
        return True

    def absorb(self, emitter: Emitter, value: str, constant: Float32) -> None:
        weight = emitter.model.tensors[f"{self.name}.weight"]
        emitter.add_bias(self.name, product(constant[None], packed(weight), len(weight))[0])


def product_of(emitter: Emitter, value: str) -> Linear:
    """The product that makes a value."""
    found = emitter.producers[value]
    assert isinstance(found, Linear), f"{value} is no product"
    return found
