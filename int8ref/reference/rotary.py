"""Rotary positions: pairs of columns are rotated by an angle that grows with the position."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.spec.arithmetic import DATA_MAX, MAX_SHIFT, WIDE_MAX, requantize
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import (
    WIDTH,
    Constant,
    Input,
    PerChannel,
    Result,
    Rows,
    Tensor,
    size,
)
from int8ref.spec.trace import note

ANGLE_BITS = 14
"""Fraction bits of sines and cosines."""


ONE = 1 << ANGLE_BITS


class Rotary(Instruction, frozen=True, kw_only=True):
    """out = rotary(x, positions)."""

    x: Annotated[str, Rows("int16")]
    positions: Annotated[str, Input("positions")]
    cosine: Annotated[str, Tensor("int16", (size("angles"), size("pairs")), -ONE, ONE)]
    sine: Annotated[str, Tensor("int16", (size("angles"), size("pairs")), -ONE, ONE)]
    heads: Annotated[int, Constant(1, 512)]
    head_width: Annotated[int, Constant(2, WIDTH // size("heads"))]
    pairs: Annotated[int, Constant(1, size("head_width") // 2)]
    multiplier: Annotated[str, PerChannel("int16", 0, WIDE_MAX)]
    shift: Annotated[str, Tensor("int8", (1,), 1, MAX_SHIFT)]
    out: Annotated[str, Result("int8")]


def rotary(
    x: npt.NDArray[np.int16],
    positions: npt.NDArray[np.int32],
    cosine: npt.NDArray[np.int16],
    sine: npt.NDArray[np.int16],
    heads: int,
    head_width: int,
    pairs: int,
    multiplier: npt.NDArray[np.int16],
    shift: npt.NDArray[np.int8],
) -> npt.NDArray[np.int8]:
    """Rotate the pairs of columns (i, i + pairs) of each head, and requantise all columns to 8
    bits.

    With p = positions[r], head h, i < pairs, left = h * head_width + i, right = left + pairs,
    a = x[r, left] and b = x[r, right]:

        acc[r, left]  = a * cosine[p, i] - b * sine[p, i]
        acc[r, right] = a * sine[p, i] + b * cosine[p, i]
        acc[r, n]     = x[r, n] * 2^14                   for every other column n
        out[r, n]     = requantize(acc[r, n], multiplier[n], shift, -127, 127)              (A2)

    The operands are

        x           int16 [rows, n]; both columns of a pair have one scale
        positions   int32 [rows], in [0, angles)
        cosine      int16 [angles, pairs], in [-2^14, 2^14], 14 fraction bits
        sine        int16 [angles, pairs], in [-2^14, 2^14], 14 fraction bits
        heads       1 to 512
        head_width  2 to n / heads
        pairs       1 to head_width / 2
        multiplier  int16 in [0, 2^15), [1] or [n]
        shift       int8 [1], in [1, 62]
        out         int8 [rows, n], in [-127, 127]

    |acc| is at most 2^30.  It is exact and is rounded once, half up.  Columns after the last head
    are not rotated; they may hold values beside queries and keys.  The score of a rotated query and
    a rotated key depends on the difference of their positions only.

    Raises `IndexError` if a position lies outside the tables, and `OverflowError` if a multiplier
    or `shift` is negative, or if `shift` is above 62.

    Source: Su et al. 2021, Eq. 34.
    """
    if positions.size and (positions.min() < 0 or positions.max() >= len(cosine)):
        raise IndexError(f"positions must lie in [0, {len(cosine)})")
    wide = x.astype(np.int64)
    acc = wide << ANGLE_BITS
    c, s = (table[positions].astype(np.int64) for table in (cosine, sine))
    for first in range(0, heads * head_width, head_width):
        left, right = slice(first, first + pairs), slice(first + pairs, first + 2 * pairs)
        a, b = wide[:, left], wide[:, right]
        acc[:, left], acc[:, right] = a * c - b * s, a * s + b * c
    note("acc", acc)
    out = requantize(acc, multiplier, shift, -DATA_MAX, DATA_MAX)
    return out.astype(np.int8)
