"""Element by element product of two tensors: a hidden layer and its gate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import DATA_MAX, WIDE_MAX, requantize
from int8ref.spec.instruction import DType, Instruction, Result, Scope, Tensor, Value, ValueType


class Multiply(Instruction, frozen=True, kw_only=True):
    """out = multiply(a, b)."""

    in_place = True

    a: Value
    b: Value
    multiplier: Tensor
    shift: Tensor
    limit: int
    out: Result

    def check(self, scope: Scope) -> None:
        a = scope.value(self.a, "int16")
        scope.require(a.width > 0, f"value {self.a!r} has no width")
        scope.value(self.b, "int8", a.width, a.domain)
        scope.factors(self.multiplier, self.shift, a.width, 1, 62)
        scope.constant("limit", self.limit, 1, WIDE_MAX)
        dtype: DType = "int8" if self.limit <= DATA_MAX else "int16"
        scope.define(self.out, ValueType(a.domain, dtype, a.width))


def multiply(
    a: npt.NDArray[np.int16],
    b: npt.NDArray[np.int8],
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
    limit: int,
) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    """Multiply two tensors element by element, as gated linear units do (Shazeer 2020, Eq. 5).

        out[r, n] = requantize(a[r, n] * b[r, n], multiplier[n], shift, -limit, limit)      (A2)

    `a`: int16 [rows, n]; `b`: int8 [rows, n]; `multiplier`: int16 in [0, 2^15), [1] or [n];
    `shift`: int8 [1] in [1, 62]; out: [rows, n] in [-limit, limit], int8 for a limit of at most
    127, else int16.  The product is exact and rounded once: scales multiply, and the factor brings
    them to that of out.
    """
    product = a.astype(np.int64) * b
    out = requantize(product, multiplier, shift, -limit, limit)
    return out.astype(np.int8) if limit <= DATA_MAX else out.astype(np.int16)
