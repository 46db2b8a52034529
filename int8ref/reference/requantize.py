"""A value on a new scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.spec import arithmetic
from int8ref.spec.arithmetic import WIDE_MAX
from int8ref.spec.instruction import (
    Instruction,
    Result,
    Scope,
    Tensor,
    Value,
    ValueType,
)


class Requantize(Instruction, frozen=True):
    """out = requantize(x): int32 accumulators to int16."""

    x: Value
    multiplier: Tensor
    shift: Tensor
    limit: int
    out: Result

    def check(self, scope: Scope) -> None:
        x = scope.value(self.x, "int32")
        scope.require(x.width > 0, f"value {self.x!r} has no width")
        scope.factors(self.multiplier, self.shift, x.width, 1, 62)
        scope.constant("limit", self.limit, 1, WIDE_MAX)
        scope.define(self.out, ValueType(x.domain, "int16", x.width))


def requantize(
    x: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
    limit: int,
) -> npt.NDArray[np.int16]:
    """Bring a value to a new scale.

        out[r, n] = saturate(rounding_shift_right(x[r, n] * multiplier[n], shift))          (A2)

    `x`: int32 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n]; `shift`: int8 [1] in
    [1, 62]; out: int16 [rows, n] in [-limit, limit].
    """
    return arithmetic.requantize(x, multiplier, shift, -limit, limit).astype(np.int16)
