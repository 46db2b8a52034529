"""Pooling: one row for each sentence, from the rows of its tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from int8ref.reference.pool import FIRST, LAST, MAX_SHIFT, MEAN
from int8ref.reference.pool import Pool as Instruction
from int8ref.spec.operands import OFFSETS
from weights_import.arithmetic.kernel import kernel
from weights_import.float_program import Operation
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import Emitter, one_if_equal
from weights_import.lowering.least_scales import at_least, least_result
from weights_import.lowering.scale_propagation import DATA_MAX, WIDE_MAX, factors
from weights_import.lowering.scaled import Scaled, wide_form
from weights_import.operations.linear import Linear
from weights_import.run import Run
from weights_import.tensors import Float32

Pooling = Literal["mean", "cls", "last"]
ROWS: dict[Pooling, int] = {"mean": MEAN, "cls": FIRST, "last": LAST}


@dataclass(frozen=True, kw_only=True)
class Pool(Operation):
    """y[b] = the mean of the rows of sentence b; or its first row (cls); or its last row.

    The frame of a sentence is a part of the sentence.  Means are sums in float64 in ascending order
    of the rows, divided by their number.
    """

    x: str
    rows: Pooling

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def terms(self) -> tuple[str, ...]:
        return self.inputs

    def run(self, run: Run) -> Float32:
        x, offsets = run.values[self.x], run.batch.offsets
        if self.rows == "cls":
            return x[offsets[:-1]]
        if self.rows == "last":
            return x[offsets[1:] - 1]
        out = np.empty((run.batch.sentences, x.shape[1]), np.float32)
        _mean(np.ascontiguousarray(x), offsets, out)
        return out

    def lower(self, emitter: Emitter) -> None:
        """Emit 8 bits if products read the result, else 16 bits."""
        x = wide_form(emitter.scaled[self.x])
        products = all(isinstance(user, Linear) for user in emitter.consumers[self.out])
        if products:
            scale, limit = emitter.input_scale(self.out, SPREAD), DATA_MAX
        else:
            scale, limit = emitter.wide_scale(self.out), WIDE_MAX
        scale = at_least(scale, least_result(x.scale, 1))
        multiplier, shift = factors(one_if_equal(x.scale / scale), 1, MAX_SHIFT)
        emitter.add(Instruction(
            x=x.name,
            offsets=OFFSETS,
            rows=ROWS[self.rows],
            multiplier=emitter.tensor(f"{self.out}.multiplier", multiplier),
            shift=emitter.tensor(f"{self.out}.shift", shift),
            limit=limit,
            out=self.out,
        ))  # fmt: skip
        emitter.scaled[self.out] = Scaled(self.out, scale)


@kernel
def _mean(x, offsets, out):
    """The mean of the rows of every sentence."""
    for b in range(len(out)):
        first, last = offsets[b], offsets[b + 1]
        for c in range(x.shape[1]):
            total = 0.0
            for r in range(first, last):
                total += np.float64(x[r, c])
            out[b, c] = np.float32(total / (last - first))
