"""Residual addition: two tensors are brought to one scale and added."""

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt

from int8ref.reference.presence import need_each_other
from int8ref.reference.rescale import MAX_EXPONENT
from int8ref.spec.arithmetic import WIDE_MAX, require_range, rounding_shift_right, saturate
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, PerChannel, Result, Rows, Sizes, Tensor
from int8ref.spec.scope import Scope
from int8ref.spec.trace import note

MAX_RAISE = 30
"""Largest `b_shift`.  The products of `b` stay below 2^60."""


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
    """Add two tensors of different scales.

        total[r, n] = a[r, n] * am[n] + b[r, n] * bm[n] * 2^b_shift
        out[r, n]   = saturate(rounding_shift_right(total[r, n], shift), -limit, limit)         (A1)

    am and bm are `a_multiplier` and `b_multiplier`.  With `exponent` and `bias`, the total is

        total[r, n] = a[r, n] * am[n] * 2^exponent[r] + b[r, n] * bm[n] * 2^b_shift
                      + bias[n] * 2^bias_shift

    In this form, a is a matrix product of data that `rescale` has shifted, `exponent` holds the
    shifts of `rescale`, and the bias is added here, because no exponent applies to it.

        a             int16 or int32 [rows, n]; int32 with an exponent
        b             int8 or int16 [rows, n]; int16 with an exponent
        a_multiplier  int16 in [0, 2^15), [1] or [n]
        b_multiplier  int16 in [0, 2^15), [1] or [n]
        b_shift       0 to 30, because a often has a much finer scale than b
        shift         1 to 61
        limit         1 to 32767; 127 gives an 8-bit residual
        exponent      int8 [rows] in [0, 9], or None
        bias          int16 [n], or None
        bias_shift    0 to 40; 0 without a bias
        out           int16 [rows, n] in [-limit, limit]

    The total is exact in int64, below 2^63, and is rounded once, half up.

    Raises `ValueError` if only one of `exponent` and `bias` is given, and `OverflowError` if an
    exponent is outside its range.

    Source: Lin et al. 2020, Eq. 8 (scale matching).  The paper first re-scales the finer operand to
    the coarser scale; here neither operand is rounded before the sum.
    """
    need_each_other("match_add", exponent=exponent, bias=bias)
    products = a.astype(np.int64) * a_multiplier
    other = (b.astype(np.int64) * b_multiplier) << b_shift
    if exponent is not None and bias is not None:
        raised = require_range(exponent, 0, MAX_EXPONENT, "match_add: exponent")
        products = products << raised[:, None]
        other = other + (bias.astype(np.int64) << bias_shift)
    total = products + other
    note("total", total)
    return saturate(rounding_shift_right(total, shift), -limit, limit).astype(np.int16)


assert 2**31 * 2**15 * 2**MAX_EXPONENT + 2**15 * 2**15 * 2**MAX_RAISE + 2**55 + 2**60 < 2**63
