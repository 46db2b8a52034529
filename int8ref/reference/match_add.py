"""Residual addition: two tensors matched to one scale and added."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from int8ref.reference.rescale import MAX_EXPONENT
from int8ref.spec.arithmetic import WIDE_MAX, rounding_shift_right, saturate
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, PerChannel, Result, Rows, Sizes, Tensor
from int8ref.spec.scope import Scope

MAX_RAISE = 30
"""Largest `b_shift`: the products of `b` stay below 2^60."""


class MatchAdd(Instruction, frozen=True, kw_only=True):
    """out = match_add(a, b)."""

    in_place = True

    a: Annotated[str, Rows("int16 int32")]
    b: Annotated[str, Rows("int8 int16")]
    a_multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    b_multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    b_shift: Annotated[int, Constant(0, MAX_RAISE)]
    shift: Annotated[int, Constant(1, 61)]
    limit: Annotated[int, Constant(1, WIDE_MAX)]
    exponent: Annotated[str, Rows("int8", 0)] | None = None
    bias: Annotated[str, Tensor("int16", (WIDTH,))] | None = None
    bias_shift: Annotated[int, Constant(0, 40)] = 0
    out: Annotated[str, Result("int16")]

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        raised = self.exponent is not None
        scope.constant("bias_shift", self.bias_shift, 0, 40 if raised else 0)
        scope.require((self.bias is not None) == raised, "exponent and bias need each other")
        if raised:
            scope.value(self.a, "int32")
            scope.value(self.b, "int16")


def match_add(
    a: npt.NDArray[np.integer[Any]],
    b: npt.NDArray[np.integer[Any]],
    a_multiplier: npt.NDArray[np.int16],
    b_multiplier: npt.NDArray[np.int16],
    b_shift: int,
    shift: int,
    limit: int,
    exponent: npt.NDArray[np.int8] | None = None,
    bias: npt.NDArray[np.int16] | None = None,
    bias_shift: int = 0,
) -> npt.NDArray[np.int16]:
    """Add two tensors of different scales (scale matching: Lin et al. 2020, Eq. 8).

        total[r, n] = a[r, n] * am[n] + b[r, n] * bm[n] * 2^b_shift
        out[r, n] = saturate(rounding_shift_right(total[r, n], shift))

    `a`: int16 or int32 [rows, n]; `b`: int8 or int16 [rows, n]; `a_multiplier`, `b_multiplier`:
    int16 in [0, 2^15), [1] or [n]; `b_shift` in [0, 30], as `a` often has the finer scale by far;
    `shift` in [1, 61]; out: int16 [rows, n] in [-limit, limit] (limit 127 is an 8-bit residual).
    Both products and their sum are exact in int64, so neither operand loses anything before the one
    rounding; the paper re-scales the finer operand to the coarser scale first.

    With the exponents of a `rescale`, int8 [rows] in [0, 9], whose data the products `a` (int32)
    are of, the sum is

        a[r, n] * am[n] * 2^exponent[r] + b[r, n] * bm[n] * 2^b_shift + bias[n] * 2^bias_shift

    for `b` int16, `bias_shift` in [0, 40], and the bias, int16 [n], that the products are without,
    as it has no part in their exponent.  Raises ValueError for one of the two without the other.
    """
    products = a.astype(np.int64) * a_multiplier
    other = (b.astype(np.int64) * b_multiplier) << b_shift
    if (exponent is None) != (bias is None):
        raise ValueError("match_add: exponent and bias need each other")
    if exponent is not None and bias is not None:
        products = products << exponent[:, None].astype(np.int64)
        other = other + (bias.astype(np.int64) << bias_shift)
    total = products + other
    return saturate(rounding_shift_right(total, shift), -limit, limit).astype(np.int16)


assert 2**31 * 2**15 * 2**MAX_EXPONENT + 2**15 * 2**15 * 2**MAX_RAISE + 2**55 + 2**60 < 2**63
