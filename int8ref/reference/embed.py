"""Token embedding plus position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from int8ref.arithmetic import DATA_MAX, WIDE_MAX, rounding_shift_right, saturate
from int8ref.instruction import (
    Instruction,
    Result,
    Scope,
    Tensor,
    Value,
    ValueType,
    largest_magnitude,
)


class Embed(Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """(out, wide) = embed(ids, positions): rows of two tables, matched to one scale and added.

    Without a table of positions it is the rows of the one.
    """

    ids: Value
    positions: Value | None = None
    table: Tensor
    position_table: Tensor | None = None
    multiplier: int
    position_multiplier: int = 0
    shift: int
    wide_bits: int
    out: Result
    wide: Result

    def check(self, scope: Scope) -> None:
        rows = scope.input(self.ids, "ids")
        table = scope.tensor(self.table, "int8", (None, None))
        scope.constant("multiplier", self.multiplier, 0, 2**30)
        scope.constant("position_multiplier", self.position_multiplier, 0, 2**30)
        scope.constant("shift", self.shift, 1, 30)
        scope.constant("wide_bits", self.wide_bits, 1, min(self.shift, 15))
        bound = 128 * self.multiplier
        if self.positions is None or self.position_table is None:
            scope.require(
                self.positions is None and self.position_table is None,
                "positions and their table need each other",
            )
        else:
            positions = scope.input(self.positions, "positions")
            scope.require(positions == rows, "ids and positions of other rows")
            position = scope.tensor(self.position_table, "int8", (None, table.shape[1]))
            bound += largest_magnitude(position) * self.position_multiplier
        scope.require(bound + 2 ** (self.shift - 1) < 2**31, "the sum may overflow 32 bits")
        scope.define(self.out, ValueType(rows.domain, "int8", table.shape[1]))
        scope.define(self.wide, ValueType(rows.domain, "int16", table.shape[1]))


def embed(
    ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32] | None,
    table: npt.NDArray[np.int8],
    position_table: npt.NDArray[np.int8] | None,
    multiplier: int,
    position_multiplier: int,
    shift: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Embed tokens.

        y[r]    = table[ids[r]] * m + position_table[positions[r]] * p
        out[r]  = saturate8(rounding_shift_right(y[r], shift))
        wide[r] = saturate16(rounding_shift_right(y[r], shift - wide_bits))

    ids[r] = -1 stands for the zero vector (the start of a sentence in models without a start
    token).  `ids`, `positions`: int32 [rows]; `table`: int8 [vocabulary, width]; `position_table`:
    int8 [positions, width]; out: int8 [rows, width] in [-127, 127], for the products; wide: int16
    [rows, width] in [-32767, 32767], the same with `wide_bits` more fraction bits, for the
    residual.  The sum fits in int32.  Without a table of positions, y is the first product alone.

    Raises `IndexError` for an id or a position outside of its table.
    """
    if ids.size and (ids.min() < -1 or ids.max() >= len(table)):
        raise IndexError(f"token ids must lie in [-1, {len(table)})")
    total = np.where((ids >= 0)[:, None], table[ids], 0).astype(np.int64) * multiplier
    if positions is not None and position_table is not None:
        if positions.size and (positions.min() < 0 or positions.max() >= len(position_table)):
            raise IndexError(f"positions must lie in [0, {len(position_table)})")
        total += position_table[positions].astype(np.int64) * position_multiplier
    out = saturate(rounding_shift_right(total, shift), -DATA_MAX, DATA_MAX)
    wide = saturate(rounding_shift_right(total, shift - wide_bits), -WIDE_MAX, WIDE_MAX)
    return out.astype(np.int8), wide.astype(np.int16)
