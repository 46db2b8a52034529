"""Index of the largest logit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.spec.instruction import Instruction, Result, Scope, Value, ValueType


class Argmax(Instruction, frozen=True):
    """out = argmax(x)."""

    x: Value
    out: Result

    def check(self, scope: Scope) -> None:
        x = scope.value(self.x, "int32")
        scope.require(x.width > 0, f"value {self.x!r} has no width")
        scope.define(self.out, ValueType(x.domain, "int32", 0))


def argmax(x: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """out[r] = the lowest n with x[r, n] = max(x[r]).  `x`: int32 [rows, n]; out: int32 [rows]."""
    best: npt.NDArray[np.int32] = np.argmax(x, axis=1).astype(np.int32)
    return best
