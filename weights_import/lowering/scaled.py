"""A value of the integer program, with the scale of its integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weights_import.lowering.scale_propagation import Float64, Real

WIDE_BITS = 7
"""Fraction bits of a residual beyond the int8 data.  A residual reaches twice as far, too."""


@dataclass(frozen=True)
class Scaled:
    """A value of the Program and the scale of its integers: [1], or one a feature.

    `wide` is the same value in int16, with WIDE_BITS more fraction bits, for the residual; `zero`
    is the integer that stands for 0, or one a feature.  Where the value `exponent` holds a shift
    for each row, the scale of a row is 2^exponent times as large; products then lack their bias,
    which is `bias`.  With a `cap`, the real number is cap * tanh(x / cap) instead of x.
    """

    name: str
    scale: Float64
    wide: str = ""
    zero: int | NDArray[np.int64] = 0
    exponent: str = ""
    bias: Real | None = None
    cap: float = 0.0


def wide_form(x: Scaled) -> Scaled:
    """The same value in 16 bits, which it may have already."""
    return Scaled(x.wide, x.scale * 2.0**-WIDE_BITS) if x.wide else x
