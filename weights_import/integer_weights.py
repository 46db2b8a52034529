"""Weights in integers: one scale a row, which suits the factors that the products are brought to
other scales by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from int8ref.spec.pair_sums import fits
from weights_import.calibrate import Ranges
from weights_import.float_model import FloatModel
from weights_import.least_scales import SMALLEST, least_row
from weights_import.options import Options
from weights_import.scale_propagation import (
    Float64,
    Quantized,
    Real,
    quantize,
    row_scales,
    shift_scales,
    whole_factors,
)
from weights_import.weight_rounding import Inputs, round_weight

OVERFULL = 4.0
"""How far beyond full 16 bits a table reaches before it is cut: less is common in rare tokens."""


@dataclass(frozen=True)
class Rows:
    """Weights side by side before they are rounded, and the input that they multiply.

    folded  the weights, with the scales of the input folded in
    own     those on the checkpoint's own grid, if that is kept
    scale   the finest of each row, [n]
    bias    what is added to the product, [n]
    """

    x: str
    x_scale: Float64
    folded: Sequence[Real]
    own: Sequence[Quantized | None]
    scale: Float64
    bias: Real

    def biased(self, more: Real) -> Rows:
        """With `more` added to the bias, and scales in which that fits."""
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

    An input is told by its name and its scale, [1] or one a channel, which the weight that
    multiplies it takes over: a scale of a weight is that of the accumulators.
    """

    def __init__(self, model: FloatModel, ranges: Ranges, options: Options) -> None:
        self._model = model
        self._ranges = ranges
        self._quads = options.weights == "quads"
        self._one_scale = options.scales == "tensor"
        self._inputs: dict[str, Inputs] = {}

    def rows(self, names: list[str], x: str, x_scale: Float64, free: bool = False) -> Rows:
        """Weights side by side, without a bias.

        A checkpoint's own grid is kept where x has one scale and its quads may be as they are:
        nothing is lost.  Otherwise every row of W[n, k] * x_scale[k] gets the scale at which its
        largest element becomes 127, or its largest quad is full (`row_scales`); if `free`, each
        row for itself, whatever the options say.
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

        Where the accumulators are `wanted` on other scales, [1] or one a row, rows that are not on
        their own grid get the next larger scale from which a factor of 15 bits leads there exactly
        (`whole_factors`).
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
        """The rows in integers whose accumulators a shift a row brings to the `wanted` scales."""
        scales, shift = shift_scales(rows.scale, wanted)
        return self._rounded(np.concatenate(rows.folded), scales, rows), shift

    def table(self, name: str, least: float = SMALLEST, most: float = np.inf) -> Quantized:
        """An embedding or output matrix in one scale; `least` and `most` as in `in_one_scale`."""
        return in_one_scale(self._weight(name), self._model.grids.get(name), least, most)

    def _weight(self, name: str) -> Real:
        return self._model.tensors[name]

    def _own_grid(self, name: str, x_scale: Float64) -> Quantized | None:
        """A weight on the checkpoint's own grid, if that is kept."""
        grid = self._model.grids.get(name)
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
            self._inputs[rows.x] = Inputs.of(self._ranges.samples[rows.x], rows.x_scale)
        return round_weight(folded, scales, self._inputs[rows.x], self._quads)


def side_by_side(weights: list[Quantized]) -> Quantized:
    """The rows of several weights, each with its scale."""
    return Quantized(
        np.concatenate([w.x for w in weights]), np.concatenate([w.scale for w in weights])
    )


def in_one_scale(
    w: Real, grid: float | None = None, least: float = SMALLEST, most: float = np.inf
) -> Quantized:
    """A table in one scale, from `least` on: its own `grid` if it has one, else that of its largest
    element.

    `most` is the scale at which the rows fill the 16 bits of the values that are made of them.  A
    table with several times that has a row which calibration did not see, and which leaves no bits
    to the others: it is brought to `most`, and that row saturates.
    """
    scale = np.array([grid]) if grid else row_scales(w).max(keepdims=True)
    if scale[0] > OVERFULL * most:
        scale = np.array([most])
    return quantize(w, np.maximum(scale, least))
