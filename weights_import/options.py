"""What can be chosen when a model is lowered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from weights_import.scale_propagation import LoweringError

Requantization = Literal["multiplier", "shift"]
Rescaling = Literal["static", "dynamic"]
Scales = Literal["channel", "tensor"]
Weights = Literal["quads", "full"]


@dataclass(frozen=True)
class Options:
    """What can be chosen when a model is lowered.

    requantize   how accumulators return to int8: multiplier and shift, or shift only
    rescaling    whether hidden layers and contexts keep the scale that was calibrated, or each row
                 is shifted by what it needs (`reference/rescale.py`)
    scales       whether the inputs of products have a scale a channel where they can
                 (`channel_scales.py`), and weights one a row, or each tensor has one
    residual     bits of the sums of the residual
    weights      whether weights leave the sums of four products within 16 bits, which CPUs without
                 8-bit dot products add up faster, or use all of int8, as embeddings always do
    clip         how activation thresholds are chosen (see `calibrate.Ranges.clip`)
    positions    most source tokens, with eos

    Raises ValueError for a dynamic re-scaling beside a residual of 8 bits.
    """

    requantize: Requantization = "multiplier"
    rescaling: Rescaling = "static"
    scales: Scales = "channel"
    residual: Literal[16, 8] = 16
    weights: Weights = "quads"
    clip: str = "mse"
    positions: int = 512

    def __post_init__(self) -> None:
        if self.rescaling == "dynamic" and self.residual == 8:
            raise LoweringError("a dynamic re-scaling needs a residual of 16 bits")
