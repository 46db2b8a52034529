"""Residual addition: two tensors matched to one scale and added."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.arithmetic import WIDE_MAX, rounding_shift_right, saturate
from int8ref.instruction import (
    Instruction,
    Result,
    Scope,
    Tensor,
    Value,
    ValueType,
)

MAX_MULTIPLIER = 2**30


class MatchAdd(Instruction, frozen=True):
    """out = match_add(a, b)."""

    a: Value
    b: Value
    a_multiplier: Tensor
    b_multiplier: Tensor
    shift: int
    limit: int
    out: Result

    def check(self, scope: Scope) -> None:
        a = scope.value(self.a, "int16 int32")
        scope.require(a.width > 0, f"value {self.a!r} has no width")
        scope.value(self.b, "int8 int16", a.width, a.domain)
        for name in (self.a_multiplier, self.b_multiplier):
            found = scope.tensor(name, "int32", (None,), 0, MAX_MULTIPLIER)
            scope.require(len(found) in (1, a.width), f"tensor {name!r} does not fit {a}")
        scope.constant("shift", self.shift, 1, 61)
        scope.constant("limit", self.limit, 1, WIDE_MAX)
        scope.define(self.out, ValueType(a.domain, "int16", a.width))


def match_add(
    a: npt.NDArray[np.integer[Any]],
    b: npt.NDArray[np.integer[Any]],
    a_multiplier: npt.NDArray[np.int32],
    b_multiplier: npt.NDArray[np.int32],
    shift: int,
    limit: int,
) -> npt.NDArray[np.int16]:
    """Add two tensors of different scales (scale matching: Lin et al. 2020, Eq. 8).

        out[r, n] = saturate(rounding_shift_right(a[r, n] * am[n] + b[r, n] * bm[n], shift))

    `a`: int16 or int32 [rows, n]; `b`: int8 or int16 [rows, n]; `a_multiplier`, `b_multiplier` in
    [0, 2^30]: [1] or [n]; out: int16 [rows, n] in [-limit, limit] (limit 127 is an 8-bit residual).
    Both products and their sum are exact in int64, so neither operand loses anything before the one
    rounding; the paper re-scales the finer operand to the coarser scale first.
    """
    total = a.astype(np.int64) * a_multiplier + b.astype(np.int64) * b_multiplier
    return saturate(rounding_shift_right(total, shift), -limit, limit).astype(np.int16)
