"""Embeddings: a row of a table for each token, plus its position."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from int8ref.reference.embed import Embed
from weights_import.arithmetic.functions import power
from weights_import.float_program import Operation
from weights_import.lowering.emitter import Emitter, whole
from weights_import.lowering.integer_weights import in_one_scale
from weights_import.lowering.least_scales import SMALLEST, at_least
from weights_import.lowering.oscillator import frequencies, wave, waves
from weights_import.lowering.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    fixed_point,
    largest_shift,
)
from weights_import.lowering.scaled import WIDE_BITS, Scaled
from weights_import.operations.norm import least_stream
from weights_import.run import ZERO_VECTOR, Run
from weights_import.tensors import Float32, Float64

WIDE_REACH = 2.0
"""The largest value of the 16 bits of an embedding over the largest value of its 8 bits."""


@dataclass(frozen=True, kw_only=True)
class Embedding(Operation):
    """y = E[id] * scale + P[position]; the id -1 embeds as the zero vector.

    table      tensor E [vocabulary, features]
    positions  tensor P [positions, features]; SINUSOIDS for sinusoids; "" without positions
    """

    table: str
    scale: float = 1.0
    positions: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def weights(self) -> tuple[str, ...]:
        learned = self.positions and self.positions != SINUSOIDS
        return (self.table, self.positions) if learned else (self.table,)

    def run(self, run: Run) -> Float32:
        ids = run.batch.ids
        rows = run.weights.gather(self.table, np.maximum(ids, 0)) * np.float32(self.scale)
        rows[ids == ZERO_VECTOR] = 0
        if self.positions:
            at = run.batch.positions
            table = self._positions(run.tensors, int(at.max(initial=0)) + 1, rows.shape[1])
            rows = rows + table[at]
        return rows

    def _positions(self, tensors: Any, length: int, width: int) -> Float32:
        """The positions [length, width]; raises ValueError for a table that is too short."""
        if self.positions == SINUSOIDS:
            return sinusoids(0, length, width)
        table: Float32 = tensors[self.positions]
        if length > len(table):
            raise ValueError(f"{length} positions, but the model has only {len(table)}")
        return table[:length]

    def lower(self, emitter: Emitter) -> None:
        """Emit 8 and 16 bits if a product reads the result, else 16 bits alone."""
        users = emitter.consumers[self.out]
        wide_only = all(user.column_sizes(emitter, self.out) is None for user in users)
        if wide_only:
            scale = emitter.wide_scale(self.out) * 2.0**WIDE_BITS
        else:
            scale = emitter.data_scale(self.out)
        scale = at_least(scale, least_stream(emitter, self.out))
        self._emit(emitter, float(scale[0]))
        wide = f"{self.out}.wide"
        both = Scaled(self.out, scale, wide)
        emitter.scaled[self.out] = Scaled(wide, scale * 2.0**-WIDE_BITS) if wide_only else both

    def _emit(self, emitter: Emitter, scale: float) -> None:
        full = WIDE_REACH * scale
        tied = emitter.model.tied.get(self.table)
        table = emitter.weights.table(self.table, tied, most=full / max(self.scale, SMALLEST))
        factor = self.scale * float(table.scale[0]) / scale
        factors = np.array([factor]) if tied is None else factor / tied
        added, position_scale = self._added(emitter, full, table.x.shape[1])
        position_factor = position_scale / scale
        reach = 2.0**15 if emitter.model.encodes and "position_table" in added else 128
        largest = 128 * float(factors.max()) + reach * position_factor
        shift = largest_shift(largest, 2**30, 30)
        kept = emitter.table(self.table, table)
        if added:
            added["position_multiplier"] = whole(position_factor, shift)
        if tied is not None:
            name = f"{self.out}.multiplier"
            added["channel_multiplier"] = emitter.tensor(name, fixed_point(factors, shift))
        emitter.add(Embed(
            ids=f"{emitter.domain(self)}.ids",
            table=kept,
            multiplier=whole(factor, shift) if tied is None else 0,
            shift=shift,
            wide_bits=WIDE_BITS,
            out=self.out,
            wide=f"{self.out}.wide",
            **added,
        ))  # fmt: skip

    def _added(self, emitter: Emitter, most: float, width: int) -> tuple[dict[str, Any], float]:
        """The fields of the instruction for positions, and their scale.

        Sinusoids become a wave and frequencies.  Another table becomes a table `in_one_scale`.  An
        encoder alone has this table in 16 bits, because its positions differ much in size.
        """
        if not self.positions:
            return {}, 0.0
        name = "positions" if self.positions == SINUSOIDS else self.positions
        exact = self._positions(emitter.model.tensors, emitter.model.positions, width)
        fields: dict[str, Any] = {"positions": f"{emitter.domain(self)}.positions"}
        found = frequencies(exact)
        if found is not None:
            fields["frequencies"] = emitter.tensor(f"{name}.frequencies", found)
            fields["wave"] = emitter.tensor("wave", wave())
            return fields | {"max_positions": len(exact)}, 1 / DATA_MAX
        if emitter.model.encodes:
            unit = max(float(np.abs(exact).max()), SMALLEST) / WIDE_MAX
            wide = np.rint(exact / np.float64(unit)).astype(np.int16)
            return fields | {"position_table": emitter.tensor(name, wide)}, unit
        table = in_one_scale(exact, most=most)
        return fields | {"position_table": emitter.tensor(name, table.x)}, float(table.scale[0])


SINUSOIDS = "sinusoids"
"""The name of a table of sinusoids for any number of positions."""


@lru_cache(maxsize=4)
def sinusoids(first: int, length: int, width: int) -> Float32:
    """Positions [length, width] from `first` on: sin of every frequency, then cos of every one,
    frequency_i = 10000^(-i / (width/2 - 1)), i = 0 .. width/2 - 1 (Marian's and tensor2tensor's
    layout of Vaswani et al. 2017, section 3.5)."""
    half = width // 2
    exponents = -np.arange(half) / max(half - 1, 1)
    return waves(np.arange(first, first + length), powers(10000.0, exponents)).astype(np.float32)


def powers(base: float, exponents: Float64) -> Float64:
    """base^exponent for every exponent."""
    return power(np.full(exponents.shape, base), exponents)
