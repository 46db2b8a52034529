"""Token embedding plus position embedding."""

from typing import Annotated

import numpy as np
import numpy.typing as npt

from int8ref.reference.presence import need_each_other
from int8ref.reference.sinusoids import MAX_POSITIONS, QUARTER, sinusoids
from int8ref.spec.arithmetic import DATA_MAX, WIDE_MAX, rounding_shift_right, saturate
from int8ref.spec.instruction import Instruction
from int8ref.spec.operands import WIDTH, Constant, Input, Result, Sizes, Tensor, least, size
from int8ref.spec.scope import Scope
from int8ref.spec.trace import note

MAX_FACTOR = 2**30
"""The largest multiplier."""


class Embed(Instruction, frozen=True, kw_only=True, omit_defaults=True):
    """(out, wide) = embed(ids, positions): the sum of the rows of two tables, on one scale.

    Instead of a table of positions there may be sinusoids for `max_positions` positions, or
    nothing.
    """

    ids: Annotated[str, Input("ids")]
    positions: Annotated[str, Input("positions")] | None = None
    table: Annotated[str, Tensor("int8", (None, WIDTH))]
    position_table: Annotated[str, Tensor("int8 int16", (None, WIDTH))] | None = None
    frequencies: Annotated[str, Tensor("int32", (None,), 0)] | None = None
    wave: Annotated[str, Tensor("int8", (QUARTER,), -DATA_MAX)] | None = None
    max_positions: Annotated[int, Constant(0, MAX_POSITIONS)] = 0
    multiplier: Annotated[int, Constant(0, MAX_FACTOR)]
    channel_multiplier: Annotated[str, Tensor("int32", (WIDTH,), 0, MAX_FACTOR)] | None = None
    position_multiplier: Annotated[int, Constant(0, MAX_FACTOR)] = 0
    shift: Annotated[int, Constant(1, 30)]
    wide_bits: Annotated[int, Constant(1, least(size("shift"), 15))]
    out: Annotated[str, Result("int8")]
    wide: Annotated[str, Result("int16")]

    def prove(self, scope: Scope, sizes: Sizes) -> None:
        bound = 128 * self._largest_multiplier(scope)
        added = any(name is not None for name in (self.position_table, self.frequencies, self.wave))
        both = (self.positions is not None) == added
        scope.require(both, "positions and their table need each other")
        if self.positions is not None:
            largest = scope.facts.largest_magnitude(self._prove_positions(scope, sizes.of(WIDTH)))
            bound += largest * self.position_multiplier
        scope.require(bound + 2 ** (self.shift - 1) < 2**31, "the sum may overflow 32 bits")

    def _largest_multiplier(self, scope: Scope) -> int:
        if self.channel_multiplier is None:
            return self.multiplier
        scope.require(self.multiplier == 0, "a multiplier beside those of the channels")
        return scope.facts.largest_magnitude(self.channel_multiplier)

    def _prove_positions(self, scope: Scope, width: int) -> str:
        """The tensor that holds the numbers of the positions."""
        if self.position_table is not None:
            alone = self.wave is None and self.frequencies is None
            scope.require(alone, "a table of positions beside a wave")
            scope.constant("max_positions", self.max_positions, 0, 0)
            return self.position_table
        if self.wave is None or self.frequencies is None:
            raise scope.fail("wave and frequencies need each other")
        scope.constant("max_positions", self.max_positions, 1, MAX_POSITIONS)
        scope.require(width % 2 == 0, f"a wave, but a width of {width}")
        scope.tensor(self.frequencies, "int32", (width // 2,), 0)
        return self.wave


def embed(
    ids: npt.NDArray[np.int32],
    positions: npt.NDArray[np.int32] | None,
    table: npt.NDArray[np.int8],
    position_table: npt.NDArray[np.int8] | npt.NDArray[np.int16] | None,
    frequencies: npt.NDArray[np.int32] | None,
    wave: npt.NDArray[np.int8] | None,
    max_positions: int,
    multiplier: int,
    channel_multiplier: npt.NDArray[np.int32] | None,
    position_multiplier: int,
    shift: int,
    wide_bits: int,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int16]]:
    """Embed tokens, and add their positions.

        y[r]    = table[ids[r]] * factor + row(positions[r]) * position_multiplier
        out[r]  = saturate8(rounding_shift_right(y[r], shift))                           (A1)
        wide[r] = saturate16(rounding_shift_right(y[r], shift - wide_bits))

    factor is `multiplier`, or `channel_multiplier`.  The latter has a number for each channel,
    because the channels of a table that also makes logits may have scales of their own.

    For ids[r] = -1 the first term is 0; this is the start of a sentence in models without a start
    token.  row(p) is position_table[p], or the row that `sinusoids` makes of `frequencies` and
    `wave`.  Without `positions`, y is the first term alone.

        ids                  int32 [rows], in [-1, vocabulary)
        positions            int32 [rows], in [0, rows of position_table) or [0, max_positions)
        table                int8 [vocabulary, width]
        position_table       int8 or int16 [any, width], or None
        frequencies          int32 [width / 2], in [0, 2^31), or None
        wave                 int8 [256], in [-127, 127], or None
        max_positions        0; with a wave 1 to 2^20
        multiplier           0 to 2^30; 0 beside a channel_multiplier
        channel_multiplier   int32 [width], in [0, 2^30], or None
        position_multiplier  0 to 2^30
        shift                1 to 30
        wide_bits            1 to min(shift, 15)
        out                  int8 [rows, width], in [-127, 127]
        wide                 int16 [rows, width], in [-32767, 32767]

    saturate8 clamps to [-127, 127], and saturate16 to [-32767, 32767].  A valid Program has
    |y| + 2^(shift - 1) < 2^31.  y is exact, and each result is rounded once, half up.  `out` is the
    input of matrix products.  `wide` is the same number with `wide_bits` more fraction bits, for
    the residual sum.

    Raises `IndexError` if an id or a position lies outside its range.  Raises `ValueError` if an
    operand is given without the operands that it needs, or beside operands that exclude it.

    Source: Vaswani et al. 2017, sections 3.4 and 3.5; a sum of two scales: Lin et al. 2020, Eq. 8.
    """
    _require_one_form(positions, position_table, frequencies, wave)
    if channel_multiplier is not None and multiplier:
        raise ValueError("embed: a multiplier beside the multipliers of the channels")
    if ids.size and (ids.min() < -1 or ids.max() >= len(table)):
        raise IndexError(f"token ids must lie in [-1, {len(table)})")
    total = np.where((ids >= 0)[:, None], table[ids], 0).astype(np.int64)
    total *= multiplier if channel_multiplier is None else channel_multiplier
    if positions is not None:
        most = max_positions if position_table is None else len(position_table)
        if positions.size and (positions.min() < 0 or positions.max() >= most):
            raise IndexError(f"positions must lie in [0, {most})")
        if position_table is not None:
            total += position_table[positions].astype(np.int64) * position_multiplier
        elif frequencies is not None and wave is not None:
            rows = sinusoids(positions, frequencies, wave)
            total += rows.astype(np.int64) * position_multiplier
    note("y", total)
    out = saturate(rounding_shift_right(total, shift), -DATA_MAX, DATA_MAX)
    wide = saturate(rounding_shift_right(total, shift - wide_bits), -WIDE_MAX, WIDE_MAX)
    return out.astype(np.int8), wide.astype(np.int16)


def _require_one_form(positions: object, table: object, frequencies: object, wave: object) -> None:
    """Positions come from a table, or from a wave with its frequencies, or are absent."""
    need_each_other("embed", frequencies=frequencies, wave=wave)
    if table is not None and wave is not None:
        raise ValueError("embed: a table of positions beside a wave")
    rows = wave if table is None else table
    need_each_other("embed", positions=positions, position_table_or_wave=rows)
