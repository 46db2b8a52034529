"""Emits attention of every kind: its operands, its weights, its histories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from int8ref.program.program import State
from int8ref.reference.append import Append
from int8ref.reference.attention_polynomial import BASE_BITS, AttentionPolynomial
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.reference.rotary import ANGLE_BITS, Rotary
from weights_import.calibrate import Ranges
from weights_import.emitter import WIDE_BITS, Emitter, Scaled
from weights_import.float_model import Float32, FloatModel
from weights_import.least_scales import MARGIN, SMALLEST, at_least, least_result
from weights_import.options import Options
from weights_import.scale_propagation import DATA_MAX, Float64, dyadic, fixed_point

SCORE_SHIFT = 16
SCORE_RANGE = 2**14
"""Range of exp2_negative: 16 octaves of 2^10."""
SCORE_HEADROOM = 1.1
"""How far beyond the largest calibrated queries and keys 8 bits reach: the largest scores decide
the weights, so none may be clipped."""
LARGEST_DELTA = 2.0**28
"""Of a polynomial's |delta|, in its units."""
LEAST_UNIT = 2.0**-28
"""Of a score, as a share of a polynomial's bias, and of the root of its |delta|."""
LEAST_CONTEXT, LEAST_VALUE = 2.0**-11 * MARGIN, 2.0**-30
"""Of the scale of a context beside that of its values, and the other way round."""
LEAST_OPERAND = 1e-3
"""The largest query or key that a channel is given which has smaller ones, if others have not."""


@dataclass(frozen=True)
class Operand:
    """Queries, keys or values: the value and column they begin at, and a scale a column."""

    value: str
    column: int
    scale: Float64


Operands = dict[str, Operand]
"""By part: query, key, value."""


class AttentionEmitter(Emitter):
    """Emits attention; `states` are the histories (and whatever else the decoder carries)."""

    def __init__(
        self,
        model: FloatModel,
        ranges: Ranges,
        options: Options,
        consumers: dict[str, list[str]],
    ) -> None:
        super().__init__(model, ranges, options, consumers)
        self.heads = model.architecture.heads
        self.group = model.architecture.group
        self.key_width = model.architecture.key_width
        self.head_size = model.architecture.head_size
        self.states: list[State] = []

    def attention_operands(self, name: str, parts: tuple[str, ...], x: Scaled) -> Operands:
        """Queries, keys and values in one product; one scale a head."""
        scale = np.concatenate([self.operand_scale(name, part) for part in parts])
        out = f"{name}.{'_'.join(parts)}"
        products = [f"{name}.{part}" for part in parts]
        if self.model.architecture.rotary:
            made = self.turned(out, products, x, scale)
        else:
            made = self.linear(out, products, x, scale, group=self.head_size)
        widths = [self.width if part == "query" else self.key_width for part in parts]
        columns = np.cumsum([0, *widths]).tolist()
        every = np.broadcast_to(made.scale, (columns[-1],))
        return {
            part: Operand(out, column, every[column : column + width])
            for part, column, width in zip(parts, columns, widths, strict=False)
        }

    def turned(self, out: str, products: list[str], x: Scaled, scale: Float64) -> Scaled:
        """Queries, keys and values, the first two turned by their positions: rounded to 16 bits
        before, where both columns of a pair have one scale, and to 8 behind."""
        rotary, heads = self.model.architecture.rotary, self.heads + self.heads // self.group
        rows = self.rows(products, x)
        scale = at_least(scale, least_result(rows.scale, 1) * 2.0**WIDE_BITS, self.head_size)
        before = self.of_pairs(scale, heads) * 2.0**-WIDE_BITS
        wide = self.wide(f"{out}.wide", out, rows, x, before)
        angles = np.outer(np.arange(self.positions), rotary)
        fields: dict[str, Any] = {
            name: self.tensor(name, np.rint(f(angles) * 2**ANGLE_BITS).astype(np.int16))
            for name, f in (("cosine", np.cos), ("sine", np.sin))
        }
        fields |= self.factors(out, wide.scale / scale * 2.0**-ANGLE_BITS, 1)
        self.add(
            Rotary(
                x=wide.name,
                positions="target.positions",
                heads=heads,
                head_width=self.head_size,
                pairs=len(rotary),
                out=out,
                **fields,
            )
        )
        return Scaled(out, scale)

    def of_pairs(self, scale: Float64, heads: int) -> Float64:
        """The larger scale of both columns of a pair that rotary positions turn, in so many heads;
        of other columns their own."""
        pairs, turned = len(self.model.architecture.rotary), heads * self.head_size
        found = scale[:turned].reshape(heads, self.head_size).copy()
        larger = np.maximum(found[:, :pairs], found[:, pairs : 2 * pairs])
        found[:, : 2 * pairs] = np.tile(larger, 2)
        return np.concatenate([found.ravel(), scale[turned:]])

    @property
    def positions(self) -> int:
        """Positions of the Program: as many as asked for, and as the checkpoint has."""
        known = self.model.architecture.max_positions
        return min(self.options.positions, known or self.options.positions)

    def history(self, name: str, operands: Operands) -> Operands:
        """Keys and values of this step behind those of the steps before."""
        key, value = operands["key"], operands["value"]
        assert value.column == key.column + self.key_width, "keys and values side by side"
        state = State(f"{name}.before", f"{name}.history", "int8", 2 * self.key_width, "history")
        self.states.append(state)
        self.add(
            Append(
                x=key.value,
                column=key.column,
                history=state.value,
                next_history=state.next_value,
            )
        )
        return operands | {
            "key": replace(key, value=state.next_value, column=0),
            "value": replace(value, value=state.next_value, column=self.key_width),
        }

    def attention(self, name: str, operands: Operands, domain: str | None) -> Scaled:
        """Rows of `domain` over the source; without one, target rows over their histories."""
        query, key, value = (operands[part] for part in ("query", "key", "value"))
        out = f"{name}.context"
        shared = self.shared(value.scale)
        least = shared * LEAST_CONTEXT
        found, limit = self.before_products(out, self.context_scale(name), least, self.head_size)
        head = slice(None, None, self.head_size)
        context = dyadic((shared / found.scale)[head], 20, 38)
        fields: dict[str, Any] = {
            "query": query.value,
            "key": key.value,
            "value": value.value,
            "sentence": f"{domain}.sentence" if domain else None,
            "key_offsets": "source.offsets" if domain else None,
            "heads": self.heads,
            "head_width": self.head_size,
            "query_column": query.column,
            "key_column": key.column,
            "value_column": value.column,
            "context_multiplier": self.tensor(f"{name}.context_multiplier", context[0]),
            "context_shift": self.tensor(f"{name}.context_shift", context[1]),
            "limit": limit,
            "out": found.name,
        }
        if self.group > 1:
            fields["group"] = self.group
        score = (query.scale * self.shared(key.scale))[head]
        if self.model.architecture.attention == "softmax":
            self.add(AttentionSoftmax(**fields, **self.softmax(name, score)))
        else:
            self.add(AttentionPolynomial(**fields, **self.polynomial(name, score)))
        return self.narrow(out, found)

    def softmax(self, name: str, score: Float64) -> dict[str, Any]:
        """Operands of the softmax, for the scale of query . key a head.

        Where a unit of the score is more than SCORE_RANGE, all keys but the largest weigh nothing,
        as they do with a multiplier for which it is just that.
        """
        temperature = np.sqrt(self.head_size) / np.log2(np.e)
        unit = np.minimum(score / temperature * 2**10, SCORE_RANGE)
        multiplier = np.maximum(fixed_point(unit, SCORE_SHIFT), 1)
        limit = np.maximum(SCORE_RANGE * 2**SCORE_SHIFT // multiplier, 1)
        return {
            "score_multiplier": self.tensor(f"{name}.score_multiplier", multiplier),
            "score_limit": self.tensor(f"{name}.score_limit", limit.astype(np.int32)),
            "score_shift": SCORE_SHIFT,
        }

    def polynomial(self, name: str, score: Float64) -> dict[str, Any]:
        """Operands of the polynomial, for the scale of query . key a head.

        |delta| in units of the polynomial, which grow with the shift of its base: the least one
        where it fits.
        """
        degree, unit = self.model.architecture.degree, score / np.sqrt(self.head_size)
        bias = self.model.tensors[f"{name}.score_bias"].astype(np.float64)
        delta = np.abs(self.model.tensors[f"{name}.delta"].astype(np.float64))
        units = delta * 2.0 ** (BASE_BITS * (2 - degree)) / unit**degree
        shift = np.maximum(np.ceil(np.log2(np.maximum(units, 1) / LARGEST_DELTA) / degree), 0)
        multiplier, bits = dyadic(np.maximum(units / 2.0 ** (degree * shift), 1), 2, 31)
        return {
            "degree": degree,
            "score_bias": self.tensor(f"{name}.score_bias", fixed_point(bias / unit, 0)),
            "score_shift": self.tensor(f"{name}.score_shift", shift.astype(np.int8)),
            "delta_multiplier": self.tensor(f"{name}.delta_multiplier", multiplier),
            "delta_shift": self.tensor(f"{name}.delta_shift", bits),
        }

    def operand_scale(self, name: str, part: str) -> Float64:
        """Scales of queries, keys or values, a channel.

        Queries and keys meet in a dot product: the products of their scales agree within a head,
        and a channel where one of them is large gets a finer scale for the other.  Values follow
        the context, whose channels they become.
        """
        if self.options.scales == "tensor":
            width = self.width if part == "query" else self.key_width
            common = np.broadcast_to(self.data_scale(f"{name}.{part}"), (width,))
            return common if part == "value" else at_least(common, np.sqrt(self.least_score(name)))
        if part == "value":
            context = self.common(np.broadcast_to(self.context_scale(name), (self.width,)))
            clip = self.ranges.clip(f"{name}.value", self.options.clip, self.key_width) / DATA_MAX
            fit = (clip / context).reshape(-1, self.head_size).max(axis=1)
            fit = np.maximum(np.where(fit > 0, fit, 1.0), LEAST_VALUE)
            values: Float64 = context * np.repeat(fit, self.head_size)
            return values
        query, key = (not_zero(self.ranges.maxima[f"{name}.{p}"]) for p in ("query", "key"))
        if part == "query":
            mine, others = self.alike(query), self.shared(key)
        else:
            mine, others = key, self.common(query)
        largest = np.sqrt(mine * others).reshape(-1, self.head_size).max(axis=1)
        reach = SCORE_HEADROOM * np.repeat(largest, self.head_size)
        reach = at_least(reach, DATA_MAX * np.sqrt(self.least_score(name)))
        scale: Float64 = reach * np.sqrt(mine / others) / DATA_MAX
        return scale

    def least_score(self, name: str) -> float:
        """The least product of the scales of queries and keys: a polynomial's bias and |delta| must
        fit in 32 bits of its units."""
        if self.model.architecture.attention == "softmax":
            return SMALLEST
        degree = self.model.architecture.degree
        bias, delta = (
            float(np.abs(self.model.tensors[f"{name}.{part}"]).max())
            for part in ("score_bias", "delta")
        )
        largest = max(bias, delta ** (1 / degree)) * LEAST_UNIT
        return float(max(largest * self.head_size**0.5, SMALLEST))

    def shared(self, x: Float64) -> Float64:
        """What keys or values have a channel, for each head of queries that uses it."""
        heads = x.reshape(-1, 1, self.head_size)
        return heads.repeat(self.group, axis=1).ravel()

    def common(self, x: Float64) -> Float64:
        """The largest of what the heads of a group of queries have a channel."""
        found: Float64 = x.reshape(-1, self.group, self.head_size).max(axis=1).ravel()
        return found

    def alike(self, x: Float64) -> Float64:
        """The least numbers, as large as x, that are in proportion to `common` within each head."""
        common = self.shared(self.common(x))
        share = (x / common).reshape(-1, self.head_size).max(axis=1)
        found: Float64 = common * np.repeat(share, self.head_size)
        return found

    def context_scale(self, name: str) -> Float64:
        scale = self.input_scale(f"{name}.context")
        if scale.size == 1:
            return scale
        return self.alike(np.broadcast_to(scale, (self.width,)))


def not_zero(maxima: Float32) -> Float64:
    """The largest query or key of each channel; in place of small ones LEAST_OPERAND, or the
    largest of all where that is less."""
    exact = maxima.astype(np.float64)
    largest = float(exact.max()) or LEAST_OPERAND
    return np.maximum(exact, min(largest, LEAST_OPERAND))
