"""The options of lowering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from weights_import.errors import LoweringError

Requantization = Literal["multiplier", "shift"]
Rescaling = Literal["gated", "static", "dynamic"]
Scales = Literal["channel", "tensor"]
Weights = Literal["quads", "full"]


@dataclass(frozen=True)
class LoweringOptions:
    """The options of lowering.

    requantize  how accumulators return to int8: by multiplier and shift, or by shift alone
    rescaling   which inputs of products have a shift for each row, by the values of the row
                (`reference/rescale.py`).  gated: gated hidden layers, because their channels have
                the longest tails; static: none, and all keep the calibrated scale; dynamic: all
                hidden layers and contexts
    scales      channel: inputs of products have a scale for each channel if possible
                (`channel_scales.py`), and weights have a scale for each row; tensor: each tensor
                has one scale
    residual    bits of the sums of the residual
    weights     quads: sums of four products stay within 16 bits, and CPUs without 8-bit dot
                products add them up faster; full: weights use all of int8, as embeddings always do
    clip        the method of activation thresholds (see `arithmetic.thresholds.threshold`)
    positions   the most tokens of a source with its frame, or of a context

    Raises LoweringError for a dynamic re-scaling with a residual of 8 bits.
    """

    requantize: Requantization = "multiplier"
    rescaling: Rescaling = "gated"
    scales: Scales = "channel"
    residual: Literal[16, 8] = 16
    weights: Weights = "quads"
    clip: str = "mse"
    positions: int = 512

    def __post_init__(self) -> None:
        if self.rescaling == "dynamic" and self.residual == 8:
            raise LoweringError("a dynamic re-scaling needs a residual of 16 bits")

    @property
    def dynamic(self) -> bool:
        """Whether every hidden layer and context has a shift for each row."""
        return self.rescaling == "dynamic"

    @property
    def dynamic_gated(self) -> bool:
        """Whether gated hidden layers have a shift for each row; a residual of 8 bits has not."""
        return self.rescaling != "static" and self.residual == 16
