"""Weights in integers, with one scale for each row.

The scale of a row suits the factor that brings its product to another scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import fits
from weights_import.lowering.least_scales import SMALLEST, least_row
from weights_import.lowering.observed import Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.lowering.scale_propagation import (
    DATA_MAX,
    Float64,
    Quantized,
    Real,
    quantize,
    row_scales,
    shift_scales,
    whole_factors,
)
from weights_import.lowering.weight_rounding import Inputs, Moments, round_weight
from weights_import.tensors import Tensors

OVERFULL = 4.0
"""A table may reach this factor beyond full 16 bits before it is cut, because rare tokens often
reach a little beyond."""


@dataclass(frozen=True)
class Rows:
    """Weights side by side before they are rounded, and the input that they multiply.

    folded  the weights, multiplied by the scales of the input
    own     for each weight, its integers on the grid of the checkpoint, or None
    scale   the finest scale of each row, [n]
    bias    the bias of the product, [n]
    """

    x: str
    x_scale: Float64
    folded: Sequence[Real]
    own: Sequence[Quantized | None]
    scale: Float64
    bias: Real

    def biased(self, more: Real) -> Rows:
        """The rows with `more` added to the bias, and with scales in which the bias fits."""
        bias = self.bias + more
        depth = self.folded[0].shape[1]
        scale = np.maximum(self.scale, least_row(bias, self.scale, depth))
        parts = np.split(scale, self.ends)
        own = [
            found if found is None or np.array_equal(found.scale, part) else None
            for found, part in zip(self.own, parts, strict=True)
        ]
        return replace(self, bias=bias, scale=scale, own=own)

    @property
    def ends(self) -> NDArray[np.intp]:
        """Where each weight but the last one ends."""
        return np.cumsum([len(w) for w in self.folded])[:-1]


class IntegerWeights:
    """The weights of a model, rounded for the inputs that calibration has seen.

    An input is its name and its scale, [1] or [channels].  The weight that multiplies the input
    takes the scale over.  Therefore the scale of a weight is the scale of the accumulators.
    """

    def __init__(
        self,
        tensors: Tensors,
        grids: dict[str, float],
        observed: Observed,
        options: LoweringOptions,
    ) -> None:
        self._tensors = tensors
        self._grids = grids
        self._observed = observed
        self._quads = options.weights == "quads"
        self._one_scale = options.scales == "tensor"
        self._inputs: dict[str, Inputs] = {}

    def rows(self, names: list[str], x: str, x_scale: Float64, free: bool = False) -> Rows:
        """Weights side by side, without a bias.

        A weight stays on the grid of the checkpoint if x has one scale and the quads of the weight
        may stay, because then nothing is lost.  Otherwise every row of W[n, k] * x_scale[k] gets
        the scale at which its largest element becomes 127 or its largest quad is full
        (`row_scales`).  With `free`, each row has its own scale for all options.
        """
        folded = [self._weight(f"{name}.weight") * x_scale for name in names]
        own = [None if free else self._own_grid(f"{name}.weight", x_scale) for name in names]
        finest = [
            self._row_scales(w, free) if kept is None else kept.scale
            for w, kept in zip(folded, own, strict=True)
        ]
        scale = np.maximum(np.concatenate(finest), SMALLEST)
        return Rows(x, x_scale, folded, own, scale, np.zeros(len(scale), np.float32))

    def beside(self, rows: Rows, wanted: Float64 | None = None) -> Quantized:
        """The rows in integers.

        `wanted`, [1] or [rows], are the scales to which the accumulators will be brought.  A row
        that is not on the grid of the checkpoint gets the next larger scale with an exact factor of
        15 bits (`whole_factors`).
        """
        scales = rows.scale if wanted is None else whole_factors(rows.scale, wanted)
        return side_by_side(
            [
                self._rounded(w, scale, rows) if own is None else own
                for w, scale, own in zip(
                    rows.folded, np.split(scales, rows.ends), rows.own, strict=True
                )
            ]
        )

    def shifted(self, rows: Rows, wanted: Float64) -> tuple[Quantized, NDArray[np.int8]]:
        """The rows in integers, and the shifts that bring their accumulators to `wanted` scales."""
        scales, shift = shift_scales(rows.scale, wanted)
        return self._rounded(np.concatenate(rows.folded), scales, rows), shift

    def table(
        self, name: str, tied: Float64 | None, least: float = SMALLEST, most: float = np.inf
    ) -> Quantized:
        """An embedding or output matrix in one scale; `least` and `most` as in `in_one_scale`.

        The channels are multiplied by their proportions `tied`, if they have proportions.  `most`
        is for the numbers before the multiplication.
        """
        w, grid = self._weight(name), self._grids.get(name)
        if tied is None:
            return in_one_scale(w, grid, least, most)
        full = in_one_scale(w, None, SMALLEST, most).scale * DATA_MAX
        return in_one_scale(np.clip(w, -full, full) * tied, None, least)

    def product_table(
        self, name: str, x_scale: Float64, tied: Float64 | None, least: float
    ) -> Quantized:
        """An output matrix that multiplies an input, with one scale for all sums of products.

        The sums have at least the scale `least`.
        """
        if tied is None and x_scale.size > 1:
            return in_one_scale(self._weight(name) * x_scale, least=max(least, SMALLEST))
        unit = x_scale[:1] if tied is None else x_scale[:1] / tied[:1]
        table = self.table(name, tied, least=max(least / float(unit[0]), SMALLEST))
        return Quantized(table.x, table.scale * unit)

    def forget(self, x: str) -> None:
        """Drop the moments of an input that no other weight multiplies."""
        self._inputs.pop(x, None)

    def _weight(self, name: str) -> Real:
        return self._tensors[name]

    def _own_grid(self, name: str, x_scale: Float64) -> Quantized | None:
        """A weight on the grid of the checkpoint, if it stays there."""
        grid = self._grids.get(name)
        if grid is None or x_scale.size > 1:
            return None
        exact = quantize(self._weight(name), np.array([grid]))
        kept = fits(exact.x) or not self._quads
        return Quantized(exact.x, np.full(len(exact.x), grid) * x_scale) if kept else None

    def _row_scales(self, folded: Real, free: bool) -> Float64:
        scales = row_scales(folded, self._quads)
        return np.full_like(scales, scales.max()) if self._one_scale and not free else scales

    def _rounded(self, folded: Real, scales: Float64, rows: Rows) -> Quantized:
        if rows.x not in self._inputs:
            moments = Moments.of(self._observed.sample(rows.x))
            self._inputs[rows.x] = Inputs.of(moments, rows.x_scale)
        return round_weight(folded, scales, self._inputs[rows.x], self._quads)


def side_by_side(weights: list[Quantized]) -> Quantized:
    """The rows of several weights, each with its scale."""
    return Quantized(
        np.concatenate([w.x for w in weights]), np.concatenate([w.scale for w in weights])
    )


def in_one_scale(
    w: Real, grid: float | None = None, least: float = SMALLEST, most: float = np.inf
) -> Quantized:
    """A table in one scale, at least `least`: its own `grid`, or the scale of its largest element.

    At the scale `most`, the rows fill the 16 bits of the values that are made of them.  If a table
    has several times this scale, calibration did not see its largest row, and the other rows would
    have no bits.  Then the table has the scale `most`, and the largest row saturates.
    """
    scale = np.array([grid]) if grid else row_scales(w).max(keepdims=True)
    if scale[0] > OVERFULL * most:
        scale = np.array([most])
    return quantize(w, np.maximum(scale, least))
