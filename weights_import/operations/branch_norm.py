"""The norm of the result of a sublayer, before the residual sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from int8ref.reference.layer_norm import FRACTION_BITS
from int8ref.reference.rms_norm_branch import (
    EPSILON_BITS,
    MAX_EPSILON_SHIFT,
    RmsNormBranch,
    normalized_bound,
)
from weights_import.float_program import Operation
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import BRANCH_BIAS_BITS, at_least, least_norm
from weights_import.lowering.scale_propagation import fixed_point, integer_bias
from weights_import.lowering.scaled import Scaled
from weights_import.operations.linear import product_of
from weights_import.operations.norm import gain_shift, normalize
from weights_import.run import Run
from weights_import.tensors import Float32

MULTIPLIER_BITS = 14


@dataclass(frozen=True, kw_only=True)
class BranchNorm(Operation):
    """y = x / sqrt(mean(x^2) + epsilon) * gain of every row of a product, a term of a sum.

    gain = `out`.gain [features].  The accumulators of the product are not rounded before the norm,
    because the rows of some tokens are much larger than others.
    """

    x: str
    epsilon: float

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def weights(self) -> tuple[str, ...]:
        return (f"{self.out}.gain",)

    def run(self, run: Run) -> Float32:
        x = np.ascontiguousarray(run.values[self.x])
        y = np.empty_like(x)
        normalize(x, self.epsilon, True, False, y)
        y *= run.tensors[f"{self.out}.gain"]
        return y

    def lower(self, emitter: Emitter) -> None:
        product = product_of(emitter, self.x).branch(emitter)
        gain = emitter.model.tensors[f"{self.out}.gain"].astype(np.float64)
        nothing, bound = np.zeros_like(gain), normalized_bound(len(gain))
        scale = at_least(emitter.wide_scale(self.out), least_norm(gain, nothing, bound, 1))
        emitter.scaled[self.out] = Scaled(self.out, scale)
        shift = gain_shift(gain / scale, nothing, bound)
        multiplier = fixed_point(gain / scale * 2.0**-FRACTION_BITS, shift).astype(np.int16)
        unit = float(product.scale.max()) * 2.0**-MULTIPLIER_BITS
        if product.bias is not None:
            largest = float(np.abs(product.bias).max())
            unit = max(unit, largest * 2.0**-BRANCH_BIAS_BITS * 2.0**-MULTIPLIER_BITS)
        factors = fixed_point(product.scale / unit, 0).astype(np.int16)
        epsilon, epsilon_shift = integer_epsilon(self.epsilon, len(gain) / unit)
        emitter.add(RmsNormBranch(
            x=product.name,
            multiplier=emitter.tensor(f"{self.out}.multiplier", factors),
            gain=emitter.tensor(f"{self.out}.gain", multiplier),
            shift=shift,
            epsilon=epsilon,
            epsilon_shift=epsilon_shift,
            out=self.out,
            **self._added(emitter, product, unit),
        ))  # fmt: skip

    def _added(self, emitter: Emitter, product: Scaled, unit: float) -> dict[str, Any]:
        """The fields of the bias that a product of rows with their own exponents lacks."""
        if product.bias is None:
            return {}
        bias, shift = integer_bias(product.bias, unit, BRANCH_BIAS_BITS)
        kept = emitter.tensor(f"{self.out}.bias", bias)
        return {"exponent": product.exponent, "bias": kept, "bias_shift": shift}


def integer_epsilon(epsilon: float, unit: float) -> tuple[int, int]:
    """(x, s) with x * 2^s nearest to epsilon * unit^2: x has EPSILON_BITS bits, s is in [0, 255].

    A larger epsilon becomes the largest one.
    """
    mantissa, exponent = np.frexp(epsilon * unit * unit)
    shift = int(exponent) - EPSILON_BITS
    if shift > MAX_EPSILON_SHIFT:
        return 1 << EPSILON_BITS, MAX_EPSILON_SHIFT
    bits = min(EPSILON_BITS, int(exponent))
    return round(float(np.ldexp(mantissa, bits))), max(shift, 0)
