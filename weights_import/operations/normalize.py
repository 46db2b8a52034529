"""Rows of one Euclidean length: embeddings whose dot products are cosines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from int8ref.reference.normalize import Normalize as Instruction
from weights_import.arithmetic.kernel import kernel
from weights_import.float_program import Operation
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.products import rows_of, wide
from weights_import.lowering.scale_propagation import DATA_MAX, WIDE_MAX
from weights_import.lowering.scaled import Scaled, wide_form
from weights_import.operations.linear import Linear, product_of
from weights_import.run import Run
from weights_import.tensors import Float32

ROOM = 1.25
"""8 bits reach this factor beyond the largest calibrated component of a unit vector."""


@dataclass(frozen=True, kw_only=True)
class Normalize(Operation):
    """y = x / |x|; a row of zeros stays zero.

    |x| is the square root of a sum of squares in float64 in ascending order of the features.  The
    integers are y times a whole number, the length (see `int8ref.reference.normalize`).  At this
    length, 8 bits just reach the components of the calibration text, and ROOM beyond.
    """

    x: str

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def factors(self) -> tuple[str, ...]:
        return self.inputs

    def run(self, run: Run) -> Float32:
        out = np.empty_like(run.values[self.x])
        _normalize(np.ascontiguousarray(run.values[self.x]), out)
        return out

    def lower(self, emitter: Emitter) -> None:
        x = self._wide(emitter)
        largest = emitter.observed.maximum(self.out)
        length = round(min(max(DATA_MAX / (ROOM * largest or 1.0), DATA_MAX), WIDE_MAX))
        emitter.add(Instruction(x=x.name, length=length, out=self.out))
        emitter.scaled[self.out] = Scaled(self.out, np.array([1 / length]))

    def _wide(self, emitter: Emitter) -> Scaled:
        """The input in 16 bits and in one scale."""
        if not isinstance(emitter.producers[self.x], Linear):
            return wide_form(emitter.scaled[self.x])
        product = product_of(emitter, self.x)
        x = emitter.scaled[product.x]
        rows = rows_of(emitter, [product.name], x)
        made = wide(emitter, f"{self.x}.wide", product.name, rows, x, emitter.wide_scale(self.x))
        return emitter.means(made, self.x)


@kernel
def _normalize(x, out):
    """x / |x| of every row."""
    for i in range(len(x)):
        total = 0.0
        for c in range(x.shape[1]):
            total += np.float64(x[i, c]) * np.float64(x[i, c])
        length = np.sqrt(total)
        if length == 0.0:
            length = 1.0
        for c in range(x.shape[1]):
            out[i, c] = np.float32(np.float64(x[i, c]) / length)
