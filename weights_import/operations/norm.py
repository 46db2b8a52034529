"""Layer normalisation of every row: by the root of the mean square, or by the mean magnitude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from int8ref.reference import layer_norm_l1, layer_norm_l2
from int8ref.reference.layer_norm import FRACTION_BITS, MAX_BIAS_SHIFT, LayerNorm
from int8ref.reference.layer_norm_l1 import LayerNormL1
from int8ref.reference.layer_norm_l2 import LayerNormL2
from int8ref.reference.rms_norm import RmsNorm
from weights_import.arithmetic.kernel import kernel
from weights_import.float_program import Operation
from weights_import.lowering import least_scales
from weights_import.lowering.channel_scales import NORM_SPREAD
from weights_import.lowering.emitter import Emitter
from weights_import.lowering.least_scales import SMALLEST, at_least, least_norm
from weights_import.lowering.scale_propagation import (
    WIDE_MAX,
    fixed_point,
    integer_bias,
    largest_shift,
)
from weights_import.lowering.scaled import WIDE_BITS, Scaled, wide_form
from weights_import.run import Run
from weights_import.tensors import Float32, Float64

NormKind = Literal["l2", "l1", "rms"]


@dataclass(frozen=True)
class Kind:
    """A kind of layer norm.

    instruction       its class of instructions
    normalized_bound  the bound of its normalised values for a width
    power             its epsilon grows with this power of the scale of the residual
    largest_epsilon   the largest epsilon of the instruction
    """

    instruction: type[LayerNorm]
    normalized_bound: Callable[[int], int]
    power: int
    largest_epsilon: int


KINDS: dict[NormKind, Kind] = {
    "l2": Kind(LayerNormL2, layer_norm_l2.normalized_bound, 2, 2**60),
    "l1": Kind(LayerNormL1, layer_norm_l1.normalized_bound, 1, 2**30),
    "rms": Kind(RmsNorm, layer_norm_l2.normalized_bound, 2, 2**60),
}


@dataclass(frozen=True, kw_only=True)
class Norm(Operation):
    """y = (x - mean) / spread * gain + bias, with c = x - mean and the spread

        l2   sqrt(mean(c^2) + epsilon)    (Ba et al. 2016, Eq. 4)
        l1   mean(|c|) + epsilon          (Lin et al. 2020, section 3.3)
        rms  as l2, with c = x            (Zhang and Sennrich 2019, Eq. 4)

    gain = `out`.gain [features]; bias = `out`.bias may be absent.  Means are sums in float64 in
    ascending order of the features, divided by their number.
    """

    x: str
    kind: NormKind
    epsilon: float

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    @property
    def weights(self) -> tuple[str, ...]:
        return f"{self.out}.gain", f"{self.out}.bias"

    def run(self, run: Run) -> Float32:
        x = run.values[self.x]
        y = np.empty_like(x)
        squared, centred = self.kind != "l1", self.kind != "rms"
        normalize(np.ascontiguousarray(x), self.epsilon, squared, centred, y)
        tensors, bias = run.tensors, f"{self.out}.bias"
        y *= tensors[f"{self.out}.gain"]
        return y + tensors[bias] if bias in tensors else y

    def lower(self, emitter: Emitter) -> None:
        if emitter.can_hand_on(self.out):
            centre = emitter.centre(self.out)
            emitter.add_bias(self.out, -centre)
            emitter.hand_on(self.out, centre)
        x = wide_form(emitter.scaled[self.x])
        emitter.scaled[self.out] = self._emit(emitter, x, self._wide(emitter))

    def _wide(self, emitter: Emitter) -> bool:
        """Whether the result is needed in 16 bits: by a norm, or by a sum of 16 bits."""
        users = emitter.consumers[self.out]
        adds = any(self.out in user.terms for user in users)
        return any(isinstance(user, Norm) for user in users) or (adds and emitter.wide_residual)

    def _emit(self, emitter: Emitter, x: Scaled, wide: bool) -> Scaled:
        """The instruction: to 8 bits, and if `wide` to 16 bits beside them."""
        tensors, kind = emitter.model.tensors, KINDS[self.kind]
        gain = tensors[f"{self.out}.gain"].astype(np.float64)
        width = len(gain)
        normalized = kind.normalized_bound(width)
        bias = tensors.get(f"{self.out}.bias", np.zeros(width, np.float32)).astype(np.float64)
        least = least_norm(gain, bias, normalized, WIDE_BITS if wide else 1)
        scale = at_least(emitter.input_scale(self.out, NORM_SPREAD), least)
        gain, bias = gain / scale, bias / scale
        shift = gain_shift(gain, bias, normalized)
        unit = 2.0**-FRACTION_BITS
        multiplier = fixed_point(gain * unit, shift).astype(np.int16)
        biases, bias_shift = integer_bias(bias, float(np.ldexp(1.0, -shift)), MAX_BIAS_SHIFT)
        emitter.add(kind.instruction(
            x=x.name,
            gain=emitter.tensor(f"{self.out}.gain", multiplier),
            bias=emitter.tensor(f"{self.out}.bias", biases),
            bias_shift=bias_shift,
            shift=shift,
            epsilon=integer_epsilon(kind, self.epsilon, width / float(x.scale[0])),
            wide_bits=WIDE_BITS if wide else 0,
            out=self.out,
            wide=f"{self.out}.wide" if wide else None,
        ))  # fmt: skip
        return Scaled(self.out, scale, f"{self.out}.wide" if wide else "")


def integer_epsilon(kind: Kind, epsilon: float, unit: float) -> int:
    """The epsilon of an instruction; `unit` is the width divided by the scale of the residual."""
    for _ in range(kind.power):
        epsilon *= unit
    return round(min(epsilon, kind.largest_epsilon))


def gain_shift(gain: Float64, bias: Float64, normalized: int) -> int:
    """The largest shift of a norm at which its gain, its bias and its results fit."""
    unit = 2.0**-FRACTION_BITS
    bound = normalized * float(np.abs(gain).max()) * unit + float(np.abs(bias).max())
    return min(
        largest_shift(float(np.abs(gain).max()) * unit, WIDE_MAX, 30),
        largest_shift(bound, 2**30, 30),
        largest_shift(float(np.abs(bias).max()), WIDE_MAX << MAX_BIAS_SHIFT, 30),
    )


def least_stream(emitter: Emitter, value: str) -> float:
    """The least scale of a value that norms read; SMALLEST if no norm reads it."""
    norms = [one for one in emitter.consumers[value] if isinstance(one, Norm)]
    found = [SMALLEST]
    for norm in norms:
        kind, width = KINDS[norm.kind], emitter.model.tensors.shape(f"{norm.out}.gain")[0]
        found.append(
            least_scales.least_stream(width, norm.epsilon, kind.power, kind.largest_epsilon)
        )
    return max(found)


@kernel
def normalize(x, epsilon, squared, centred, out):
    """(x - mean) / spread of every row."""
    rows, width = x.shape
    for i in range(rows):
        mean = 0.0
        if centred:
            for c in range(width):
                mean += np.float64(x[i, c])
            mean /= width
        total = 0.0
        for c in range(width):
            y = np.float64(x[i, c]) - mean
            total += y * y if squared else abs(y)
        total = total / width + epsilon
        spread = np.sqrt(total) if squared else total
        for c in range(width):
            out[i, c] = np.float32((np.float64(x[i, c]) - mean) / spread)
