"""Norms of queries or keys between their product and the attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from int8ref.reference.layer_norm import FRACTION_BITS
from int8ref.reference.rms_norm_heads import RmsNormHeads, normalized_bound
from weights_import.float_program import Operation
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import at_least, least_norm, least_stream
from weights_import.lowering.scale_propagation import Float64, fixed_point
from weights_import.lowering.scaled import Scaled
from weights_import.operations.linear import Linear, product_of
from weights_import.operations.norm import KINDS, gain_shift, integer_epsilon, normalize
from weights_import.run import Run
from weights_import.tensors import Float32

RMS = KINDS["rms"]


@dataclass(frozen=True, kw_only=True)
class HeadNorm(Operation):
    """y = x / sqrt(mean(x^2) + epsilon) * gain for every `size` neighbouring columns.

    `x` is a product, and gain = `out`.gain, either [size] or one for each column.  A norm of each
    head has the size of a head (as in Dehghani et al. 2023, section 2).  A norm of the whole row
    has the size of all heads.

    The attention that reads the result emits the norm.
    """

    x: str
    size: int
    epsilon: float

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def weights(self) -> tuple[str, ...]:
        return (f"{self.out}.gain",)

    @property
    def lazy(self) -> bool:
        return True

    def run(self, run: Run) -> Float32:
        x = run.values[self.x]
        heads = np.ascontiguousarray(x).reshape(-1, self.size)
        y = np.empty_like(heads)
        normalize(heads, self.epsilon, True, False, y)
        gain = run.tensors[f"{self.out}.gain"]
        y = y.reshape(-1, len(gain))
        y *= gain
        return y.reshape(x.shape)

    def lower(self, emitter: Emitter) -> None:
        pass

    def gains(self, emitter: Emitter) -> Float64:
        """The gain of every column."""
        columns = emitter.observed.rows[self.x].shape[1]
        gain = emitter.model.tensors[f"{self.out}.gain"].astype(np.float64)
        return gain[np.arange(columns) % len(gain)]

    def least(self, emitter: Emitter, group: int) -> Float64:
        """The least scale of each column of the result in 16 bits.

        The columns of a `group` have one least scale.
        """
        gains = self.gains(emitter)
        least = least_norm(gains, np.zeros_like(gains), normalized_bound(self.size), 1)
        found: Float64 = least.reshape(-1, group).max(axis=1).repeat(group)
        return found

    def before(self, emitter: Emitter, least: Float64) -> Float64:
        """The scale of the columns before the norm, in 16 bits.

        A norm needs one scale, and the scale is at least `least`.
        """
        stream = least_stream(self.size, self.epsilon, 2, RMS.largest_epsilon)
        scale = at_least(at_least(emitter.wide_scale(self.x), stream), least)
        return scale.repeat(len(least))

    def emit(self, emitter: Emitter, x: Scaled, column: int, scale: Float64) -> str:
        """Emit the norm of the columns of `x` from `column` on; the name of its result.

        `scale` is the scale of the result.
        """
        gains = self.gains(emitter) / scale
        bound = normalized_bound(self.size)
        shift = gain_shift(gains, np.zeros_like(gains), bound)
        multiplier = fixed_point(gains * 2.0**-FRACTION_BITS, shift).astype(np.int16)
        emitter.add(RmsNormHeads(
            x=x.name,
            gain=emitter.tensor(f"{self.out}.gain", multiplier),
            column=column,
            heads=len(gains) // self.size,
            head_width=self.size,
            shift=shift,
            epsilon=integer_epsilon(RMS, self.epsilon, self.size / float(x.scale[column])),
            out=self.out,
        ))  # fmt: skip
        return self.out


def projection_of(emitter: Emitter, value: str) -> Linear:
    """The product of queries, keys or values, before a norm of its heads."""
    found = emitter.producers[value]
    return product_of(emitter, found.x if isinstance(found, HeadNorm) else value)
