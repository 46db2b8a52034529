"""Weights in integers: one scale a row, which suits the factors that the products are brought to
other scales by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from int8ref.kernels.gemm.quads import fits
from weights_import.calibrate import Ranges
from weights_import.float_model import FloatModel
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

    def beside(
        self, names: list[str], x: str, x_scale: Float64, wanted: Float64 | None = None
    ) -> Quantized:
        """Weights side by side.

        A checkpoint's own grid is kept where x has one scale and its quads may be as they are:
        nothing is lost.  Otherwise every row of W[n, k] * x_scale[k] gets the scale at which its
        largest element becomes 127, or its largest quad is full (`row_scales`); and where the
        accumulators are `wanted` on other scales, [1] or one a row, the next larger one from which
        a factor of 15 bits leads there exactly (`whole_factors`).
        """
        kept = [self._own_grid(f"{name}.weight", x_scale) for name in names]
        folded = [self._weight(f"{name}.weight") * x_scale for name in names]
        finest = [
            self._row_scales(w) if own is None else own.scale
            for w, own in zip(folded, kept, strict=True)
        ]
        scales = np.concatenate(finest)
        if wanted is not None:
            scales = whole_factors(scales, wanted)
        ends = np.cumsum([len(w) for w in folded])
        return side_by_side(
            [
                self._rounded(w, scale, x, x_scale) if own is None else own
                for w, scale, own in zip(folded, np.split(scales, ends[:-1]), kept, strict=True)
            ]
        )

    def shifted(
        self, names: list[str], x: str, x_scale: Float64, wanted: Float64
    ) -> tuple[Quantized, NDArray[np.int8]]:
        """Weights side by side whose accumulators a shift a row brings to the `wanted` scales."""
        folded = np.concatenate([self._weight(f"{name}.weight") * x_scale for name in names])
        scales, shift = shift_scales(folded, wanted, self._quads)
        return self._rounded(folded, scales, x, x_scale), shift

    def table(self, name: str) -> Quantized:
        """An embedding or output matrix: one scale, the checkpoint's own where it has one."""
        w, grid = self._weight(name), self._model.grids.get(name)
        return quantize(w, np.array([grid]) if grid else row_scales(w).max(keepdims=True))

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

    def _row_scales(self, folded: Real) -> Float64:
        scales = row_scales(folded, self._quads)
        return np.full_like(scales, scales.max()) if self._one_scale else scales

    def _rounded(self, folded: Real, scales: Float64, x: str, x_scale: Float64) -> Quantized:
        if x not in self._inputs:
            self._inputs[x] = Inputs.of(self._ranges.samples[x], x_scale)
        return round_weight(folded, scales, self._inputs[x], self._quads)


def side_by_side(weights: list[Quantized]) -> Quantized:
    """The rows of several weights, each with its scale."""
    return Quantized(
        np.concatenate([w.x for w in weights]), np.concatenate([w.scale for w in weights])
    )
