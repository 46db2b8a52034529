"""A soft cap of the logits: y = cap tanh(x / cap)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from weights_import.arithmetic.functions import tanh
from weights_import.float_program import Operation
from weights_import.lowering.emitter import Emitter
from weights_import.run import Run
from weights_import.tensors import Float32


@dataclass(frozen=True, kw_only=True)
class SoftCap(Operation):
    """y = cap * tanh(x / cap) (Gemma Team 2024b, section 2), for `x` the product of the logits.

    The function rises with x, and changes no choice of the largest logit.  Therefore the integer
    program applies it only where a search needs probabilities.
    """

    x: str
    cap: float

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    def run(self, run: Run) -> Float32:
        x = run.values[self.x]
        found = np.empty_like(x)
        for row, out in zip(x, found, strict=True):  # in float64, one row needs little memory
            out[:] = self.cap * tanh(row.astype(np.float64) / self.cap)
        return found

    def lower(self, emitter: Emitter) -> None:
        emitter.scaled[self.out] = replace(emitter.scaled[self.x], cap=self.cap)
