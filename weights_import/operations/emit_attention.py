"""Emits an attention: its operands, its history, and the instruction that weighs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from int8ref.program.program import State
from int8ref.reference.append import Append
from int8ref.reference.narrow import Narrow
from int8ref.reference.rotary import ANGLE_BITS, Rotary
from weights_import.arithmetic.functions import cos, sin
from weights_import.lowering.channel_scales import SPREAD
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import MARGIN, at_least, least_result
from weights_import.lowering.products import linear, rows_of, wide
from weights_import.lowering.scale_propagation import DATA_MAX, Float64, dyadic
from weights_import.lowering.scaled import WIDE_BITS, Scaled
from weights_import.operations.attended import Attended
from weights_import.operations.head_norm import HeadNorm, projection_of
from weights_import.operations.linear import Linear

SCORE_HEADROOM = 1.1
"""8 bits reach this factor beyond the largest calibrated queries and keys, because the largest
scores decide the weights and none may be clipped."""
LEAST_CONTEXT, LEAST_VALUE = 2.0**-11 * MARGIN, 2.0**-30
"""The least scale of a context as a share of the scale of its values, and the reverse."""
LEAST_OPERAND = 1e-3
"""The least size that counts for the queries or keys of a channel, if other channels reach it."""


@dataclass(frozen=True)
class Operand:
    """Queries, keys or values: their value, their first column in it, and a scale a column."""

    value: str
    column: int
    scale: Float64


class AttentionEmitter:
    """Emits one attention."""

    def __init__(self, emitter: Emitter, attention: Attended) -> None:
        self.emitter, self.attention, self.heads = emitter, attention, attention.heads
        self.name = attention.out.rpartition(".")[0]

    def emit(self) -> Scaled:
        """Emit the attention; the context, in the form that products read."""
        operands: dict[str, Operand] = {}
        for names in self._joined():
            operands |= self._operands(names)
        query, key, value = (operands[name] for name in self.attention.inputs)
        if self.attention.over == "target":
            key, value = self._history(key, value)
        return self._attend(query, key, value)

    def _joined(self) -> list[list[str]]:
        """The projections, grouped by their input, because each group becomes one product."""
        found: dict[str, list[str]] = {}
        for name in self.attention.inputs:
            found.setdefault(self._projection(name).x, []).append(name)
        return list(found.values())[::-1]

    def _projection(self, name: str) -> Linear:
        return projection_of(self.emitter, name)

    def _operands(self, names: list[str]) -> dict[str, Operand]:
        """Emit a group of projections as one product.

        Each channel has a scale.  The scales within a head keep their proportions.
        """
        scale = np.concatenate([self._scale(name) for name in names])
        parts = [name.rpartition(".")[2] for name in names]
        out = f"{self.name}.{'_'.join(parts)}"
        first = self._projection(names[0])
        x = self.emitter.scaled[first.x]
        with self.emitter.emitting(first):
            if self.heads.rotary or self.heads.norms:
                made = self._placed(out, names, x, scale)
            else:
                products = [self._projection(name).name for name in names]
                made = linear(self.emitter, out, products, x, scale, group=self.heads.size)
        self.emitter.means(made, *names, turned=bool(self.heads.rotary))
        widths = [self.emitter.observed.rows[name].shape[1] for name in names]
        columns = np.cumsum([0, *widths]).tolist()
        every = np.broadcast_to(made.scale, (columns[-1],))
        return {
            name: Operand(out, column, every[column : column + width])
            for name, column, width in zip(names, columns, widths, strict=False)
        }

    def _placed(self, out: str, names: list[str], x: Scaled, scale: Float64) -> Scaled:
        """Queries, keys and values in one product, with norms and rotary positions.

        They are rounded to 16 bits before the norms and the turn, with one scale for both columns
        of a pair, and to 8 bits behind it.
        """
        emitter, heads = self.emitter, self.heads
        rows = rows_of(emitter, [self._projection(name).name for name in names], x)
        blocks = self._blocks(names)
        least = least_result(rows.scale, 1)
        reached = least.copy()
        for norm, columns in blocks:
            reached[columns] = norm.least(emitter, heads.size)
        scale = at_least(scale, reached * 2.0**WIDE_BITS, heads.size)
        normed = heads.of_pairs(scale) * 2.0**-WIDE_BITS
        product = normed.copy()
        for norm, columns in blocks:
            product[columns] = norm.before(emitter, least[columns])
        before = wide(emitter, f"{out}.wide", out, rows, x, product)
        emitter.means(before, *(self._projection(name).out for name in names))
        for norm, columns in blocks:
            made = norm.emit(emitter, before, columns.start, normed[columns])
            before = replace(before, name=made)
        before = replace(before, scale=normed)
        finish = self._turned if heads.rotary else self._narrowed
        return finish(out, before, scale)

    def _blocks(self, names: list[str]) -> list[tuple[HeadNorm, slice]]:
        """The norms of some values side by side, and their columns."""
        found, first = [], 0
        for name in names:
            columns = slice(first, first + self.emitter.observed.rows[name].shape[1])
            norm, first = self.emitter.producers[name], columns.stop
            if isinstance(norm, HeadNorm):
                found.append((norm, columns))
        return found

    def _narrowed(self, out: str, before: Scaled, scale: Float64) -> Scaled:
        """Queries, keys and values in 8 bits."""
        fields = self.emitter.factors(out, before.scale / scale, 1)
        self.emitter.add(Narrow(x=before.name, out=out, **fields))
        return Scaled(out, scale)

    def _turned(self, out: str, before: Scaled, scale: Float64) -> Scaled:
        """Queries and keys turned by their positions, and values beside them, in 8 bits."""
        emitter, heads = self.emitter, self.heads
        angles = np.arange(emitter.model.positions)[:, None] * np.array(heads.rotary)
        fields: dict[str, Any] = {
            name: emitter.shared(name, np.rint(f(angles) * 2**ANGLE_BITS).astype(np.int16))
            for name, f in (("cosine", cos), ("sine", sin))
        }
        fields |= emitter.factors(out, before.scale / scale * 2.0**-ANGLE_BITS, 1)
        emitter.add(Rotary(
            x=before.name,
            positions="target.positions",
            heads=heads.count + heads.key_heads,
            head_width=heads.size,
            pairs=len(heads.rotary),
            out=out,
            **fields,
        ))  # fmt: skip
        return Scaled(out, scale)

    def _history(self, key: Operand, value: Operand) -> tuple[Operand, Operand]:
        """Append the keys and values of this step to the history of the steps before."""
        width = self.heads.key_width
        assert value.column == key.column + width, "keys and values side by side"
        state = State(f"{self.name}.before", f"{self.name}.history", "int8", 2 * width, "history")
        self.emitter.states.append(state)
        self.emitter.add(Append(
            x=key.value, column=key.column, history=state.value, next_history=state.next_value
        ))  # fmt: skip
        after = state.next_value
        return replace(key, value=after, column=0), replace(value, value=after, column=width)

    def _attend(self, query: Operand, key: Operand, value: Operand) -> Scaled:
        emitter, heads, attention = self.emitter, self.heads, self.attention
        shared = heads.shared(value.scale)
        least, dynamic = shared * LEAST_CONTEXT, emitter.options.dynamic
        found, limit = emitter.before_products(
            attention.out, self._context_scale(), least, dynamic, heads.size
        )
        head = slice(None, None, heads.size)
        context = dyadic((shared / found.scale)[head], 20, 38)
        fields: dict[str, Any] = {"group": heads.group} if heads.group > 1 else {}
        if 0 < heads.window < emitter.model.positions:
            fields["window"] = heads.window
        of_source = attention.over == "source"
        domain = emitter.domain(attention)
        score = (query.scale * heads.shared(key.scale))[head]
        emitter.add(attention.scores.instruction(
            query=query.value,
            key=key.value,
            value=value.value,
            sentence=f"{domain}.sentence" if of_source else None,
            key_offsets="source.offsets" if of_source else None,
            heads=heads.count,
            head_width=heads.size,
            query_column=query.column,
            key_column=key.column,
            value_column=value.column,
            context_multiplier=emitter.tensor(f"{self.name}.context_multiplier", context[0]),
            context_shift=emitter.tensor(f"{self.name}.context_shift", context[1]),
            limit=limit,
            out=found.name,
            **fields,
            **attention.scores.operands(emitter, self.name, score, heads.size),
        ))  # fmt: skip
        return emitter.narrow(attention.out, found)

    # Scales.

    def _scale(self, name: str) -> Float64:
        """The scales of queries, keys or values, one for each channel.

        Queries and keys meet in a dot product: the products of their scales agree within a head,
        and a channel where one of them is large gets a finer scale for the other.  Values follow
        the context, whose channels they become.
        """
        if self.emitter.options.scales == "tensor":
            width = self.emitter.observed.rows[name].shape[1]
            common = np.broadcast_to(self.emitter.data_scale(name), (width,))
            return common if name == self.attention.value else at_least(common, self._least())
        return self._value_scale() if name == self.attention.value else self._score_scale(name)

    def _value_scale(self) -> Float64:
        heads, emitter = self.heads, self.emitter
        context = heads.common(np.broadcast_to(self._context_scale(), (heads.width,)))
        name = self.attention.value
        clip = emitter.observed.clip(name, emitter.options.clip, heads.key_width) / DATA_MAX
        fit: Float64 = (clip / context).reshape(-1, heads.size).max(axis=1)
        fit = np.maximum(np.where(fit > 0, fit, 1.0), LEAST_VALUE)
        return context * np.repeat(fit, heads.size)

    def _score_scale(self, name: str) -> Float64:
        heads, observed = self.heads, self.emitter.observed
        query = not_zero(observed.maxima(self.attention.query))
        key = not_zero(observed.maxima(self.attention.key))
        if name == self.attention.query:
            mine, others = heads.alike(query), heads.shared(key)
        else:
            mine, others = key, heads.common(query)
        largest = np.sqrt(mine * others).reshape(-1, heads.size).max(axis=1)
        reach = SCORE_HEADROOM * np.repeat(largest, heads.size)
        reach = at_least(reach, DATA_MAX * self._least())
        return reach * np.sqrt(mine / others) / DATA_MAX

    def _least(self) -> float:
        """The root of the least product of the scales of queries and keys."""
        model, scores = self.emitter.model, self.attention.scores
        least = scores.least_score(model.tensors, self.heads.size, model.positions)
        return float(np.sqrt(least))

    def _context_scale(self) -> Float64:
        scale = self.emitter.input_scale(self.attention.out, SPREAD)
        if scale.size == 1:
            return scale
        return self.heads.alike(np.broadcast_to(scale, (self.heads.width,)))


def not_zero(maxima: Float64) -> Float64:
    """The largest query or key of each channel, and at least LEAST_OPERAND.

    If no channel reaches LEAST_OPERAND, the largest of all channels replaces it.
    """
    largest = float(maxima.max()) or LEAST_OPERAND
    return np.maximum(maxima, min(largest, LEAST_OPERAND))
