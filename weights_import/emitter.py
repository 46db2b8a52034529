"""Emits instructions and tensors, and turns the scales of their operands into integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.instruction import Instruction
from int8ref.program import Tensors
from int8ref.reference import layer_norm_l1, layer_norm_l2
from int8ref.reference.layer_norm import FRACTION_BITS, MAX_BIAS_SHIFT, LayerNorm
from int8ref.reference.layer_norm_l1 import LayerNormL1
from int8ref.reference.layer_norm_l2 import LayerNormL2
from int8ref.reference.linear import MAX_FACTOR_SHIFT, MIN_FACTOR_SHIFT, Linear
from int8ref.reference.match_add import MAX_RAISE, MatchAdd
from int8ref.reference.requantize import Requantize
from int8ref.reference.rescale import Rescale
from int8ref.reference.rms_norm import RmsNorm
from weights_import.calibrate import Ranges
from weights_import.channel_scales import (
    NORM_SPREAD,
    PRODUCT_SPREAD,
    SPREAD,
    channel_scales,
    positive,
)
from weights_import.float_model import FloatModel
from weights_import.integer_weights import IntegerWeights
from weights_import.options import Options
from weights_import.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    Float64,
    Quantized,
    Real,
    factors,
    fixed_point,
    integer_bias,
    largest_shift,
)

WIDE_BITS = 7
"""Fraction bits that a residual has beyond the int8 data: it reaches twice as far, too."""
SPREADS = {"norm": NORM_SPREAD, "product": PRODUCT_SPREAD}
"""How scales of a channel differ, by the last part of a value's name."""
HEADROOM = 2.0
"""How far beyond the largest calibrated residual sum or recurrent state 16 bits reach."""


@dataclass(frozen=True)
class Scaled:
    """A value of the Program and the scale of its integers: [1], or one a feature.

    `wide` is the same value in int16, with WIDE_BITS more fraction bits, for the residual; `zero`
    is the integer that stands for 0.  Where the value `exponent` holds a shift for each row, the
    scale of a row is 2^exponent times as large; products then lack their bias, which is `bias`.
    """

    name: str
    scale: Float64
    wide: str = ""
    zero: int = 0
    exponent: str = ""
    bias: Real | None = None


def wide_form(x: Scaled) -> Scaled:
    """The same value in 16 bits."""
    return Scaled(x.wide, x.scale * 2.0**-WIDE_BITS)


@dataclass(frozen=True)
class Norm:
    """A kind of layer norm: its instruction, the bound of its normalised values, and the power of
    the residual's scale in which its epsilon counts."""

    instruction: type[LayerNorm]
    normalized_bound: Callable[[int], int]
    power: int


NORMS = {
    "l2": Norm(LayerNormL2, layer_norm_l2.normalized_bound, 2),
    "l1": Norm(LayerNormL1, layer_norm_l1.normalized_bound, 1),
    "rms": Norm(RmsNorm, layer_norm_l2.normalized_bound, 2),
}


class Emitter:
    """Collects the instructions and tensors of a Program.

    `consumers` names the weights that multiply a value, where it may have a scale a channel.
    """

    def __init__(
        self,
        model: FloatModel,
        ranges: Ranges,
        options: Options,
        consumers: dict[str, list[str]],
    ) -> None:
        self.model = model
        self.ranges = ranges
        self.options = options
        self.consumers = consumers
        self.width = model.architecture.d_model
        self.tensors: Tensors = {}
        self.sequence: list[Instruction] = []
        self.weights = IntegerWeights(model, ranges, options)

    def input_scale(self, name: str, zero: int = 0) -> Float64:
        """The scale of an input of products: one a channel where all of them can take that over.

        `zero` is the integer that stands for 0.
        """
        largest = DATA_MAX - zero
        if self.options.scales == "tensor" or name not in self.consumers:
            return self.data_scale(name) * (DATA_MAX / largest)
        spread = SPREADS.get(name.rpartition(".")[2], SPREAD)
        return channel_scales(self.ranges.maxima[name], spread, largest)

    def embedding_name(self, domain: str, table: Quantized) -> str:
        """Keep an embedding or output matrix: tied ones once."""
        for name, array in self.tensors.items():
            if array.shape == table.x.shape and np.array_equal(array, table.x):
                return name
        return self.tensor(f"{domain}.embedding", table.x)

    @property
    def wide_residual(self) -> bool:
        return self.options.residual == 16

    def stream(self, x: Scaled) -> Scaled:
        """A value as the residual takes it."""
        return wide_form(x) if self.wide_residual else x

    def add_residual(self, name: str, branch: Scaled, stream: Scaled) -> Scaled:
        """branch + stream in the bits of the residual; the stream is a residual sum or `stream`."""
        largest = max(self.ranges.maximum(f"{name}.sum"), 1e-9)
        limit, headroom = (WIDE_MAX, HEADROOM) if self.wide_residual else (DATA_MAX, 1.0)
        scale = np.array([largest * headroom / limit])
        ratios = branch.scale / scale, stream.scale / scale
        largest_a, largest_b = (float(ratio.max()) for ratio in ratios)
        shift = min(
            largest_shift(largest_a, WIDE_MAX, 61),
            largest_shift(largest_b, WIDE_MAX << MAX_RAISE, 61),
        )
        b_shift = max(0, shift - largest_shift(largest_b, WIDE_MAX, 61))
        multipliers = [
            fixed_point(ratio, bits).astype(np.int16)
            for ratio, bits in zip(ratios, (shift, shift - b_shift), strict=True)
        ]
        raised: dict[str, Any] = {}
        if branch.bias is not None:
            bias, bits = integer_bias(branch.bias, scale * 2.0**-shift, 40)
            raised = {"exponent": branch.exponent, "bias_shift": bits}
            raised["bias"] = self.tensor(f"{name}.branch_bias", bias)
        self.add(
            MatchAdd(
                a=branch.name,
                b=stream.name,
                a_multiplier=self.tensor(f"{name}.branch_multiplier", multipliers[0]),
                b_multiplier=self.tensor(f"{name}.residual_multiplier", multipliers[1]),
                b_shift=b_shift,
                shift=shift,
                limit=limit,
                out=f"{name}.sum",
                **raised,
            )
        )
        return Scaled(f"{name}.sum", scale)

    def norm(self, name: str, x: Scaled, wide: bool) -> Scaled:
        """Layer norm of a residual sum to 8 bits, and if `wide` to 16 bits beside them."""
        architecture = self.model.architecture
        scale = self.input_scale(name)
        gain = self.model.tensors[f"{name}.gain"].astype(np.float64) / scale
        zeros = np.zeros(self.width, np.float32)
        bias = self.model.tensors.get(f"{name}.bias", zeros).astype(np.float64) / scale
        unit = 2.0**-FRACTION_BITS
        kind = NORMS[architecture.norm]
        bound = kind.normalized_bound(self.width) * np.abs(gain).max() * unit + np.abs(bias).max()
        shift = min(
            largest_shift(float(np.abs(gain).max()) * unit, WIDE_MAX, 30),
            largest_shift(float(bound), 2**30, 30),
            largest_shift(float(np.abs(bias).max()), WIDE_MAX << MAX_BIAS_SHIFT, 30),
        )
        biases, bias_shift = integer_bias(bias, 2.0**-shift, MAX_BIAS_SHIFT)
        epsilon = architecture.norm_epsilon * (self.width / float(x.scale[0])) ** kind.power
        self.add(
            kind.instruction(
                x=x.name,
                gain=self.tensor(f"{name}.gain", fixed_point(gain * unit, shift).astype(np.int16)),
                bias=self.tensor(f"{name}.bias", biases),
                bias_shift=bias_shift,
                shift=shift,
                epsilon=round(epsilon),
                wide_bits=WIDE_BITS if wide else 0,
                out=name,
                wide=f"{name}.wide" if wide else None,
            )
        )
        return Scaled(name, scale, f"{name}.wide" if wide else "")

    def accumulate(
        self,
        name: str,
        x: Scaled,
        parts: list[str] | None = None,
        wanted: Float64 | None = None,
    ) -> Scaled:
        """x times a weight, or several side by side, as accumulators; `wanted`, if given, is the
        scale that they are requantised to."""
        parts = parts or [name]
        weight = self.weights.beside(parts, x.name, x.scale, wanted)
        kept = self.tensor(f"{name}.weight", weight.x)
        bias = np.concatenate([self.bias(part) for part in parts])
        without = None if x.exponent else bias
        product = self.emit_linear(f"{name}.accumulator", kept, weight, without, x)
        return replace(product, exponent=x.exponent, bias=bias) if x.exponent else product

    def requantize(self, out: str, x: Scaled, scale: Float64) -> Scaled:
        """Accumulators in 16 bits."""
        fields = self.factors(out, x.scale / scale, 1)
        self.add(Requantize(x=x.name, limit=WIDE_MAX, out=out, **fields))
        return Scaled(out, scale)

    def before_products(self, out: str, scale: Float64) -> tuple[Scaled, int]:
        """How an instruction gives what products take in: the value, and its limit.  It has 8 bits
        and is `out`, or with dynamic re-scaling 16, and another name, until it is `narrow`."""
        if self.options.rescaling == "static":
            return Scaled(out, scale), DATA_MAX
        return Scaled(f"{out}.wide", scale * 2.0**-WIDE_BITS), WIDE_MAX

    def narrow(self, out: str, x: Scaled) -> Scaled:
        """A value from `before_products` as products take it."""
        return x if x.name == out else self.rescale(out, x, low=-WIDE_MAX)

    def rescale(self, out: str, x: Scaled, low: int) -> Scaled:
        """A value of 16 bits in 8, each row with a shift of its own."""
        exponent = f"{out}.exponent"
        self.add(Rescale(x=x.name, low=low, out=out, exponent=exponent))
        return Scaled(out, x.scale, exponent=exponent)

    def linear(
        self, out: str, parts: list[str], x: Scaled, out_scale: Float64, zero: int = 0
    ) -> Scaled:
        """x times one or more weights side by side, requantised to `out_scale`.

        `zero` is the integer that stands for 0.  With -127 nothing is negative: that is ReLU.
        """
        if self.options.requantize == "shift":
            weight, shift = self.weights.shifted(parts, x.name, x.scale, out_scale)
            fields = {"shift": self.tensor(f"{out}.shift", shift)}
        else:
            weight = self.weights.beside(parts, x.name, x.scale, out_scale)
            fields = self.factors(out, weight.scale / out_scale, MIN_FACTOR_SHIFT)
        bias = np.concatenate([self.bias(part) for part in parts]) + zero * out_scale
        name = self.tensor(f"{out}.weight", weight.x)
        self.emit_linear(out, name, weight, bias, x, **fields)
        return Scaled(out, out_scale, zero=zero)

    def emit_linear(
        self,
        out: str,
        weight_name: str,
        weight: Quantized,
        bias: NDArray[Any] | None,
        x: Scaled,
        **fields: Any,
    ) -> Scaled:
        real = np.zeros(len(weight.x)) if bias is None else bias
        sums = weight.x.sum(axis=1, dtype=np.int64)
        integers, shift = integer_bias(real - x.zero * sums * weight.scale, weight.scale, sums=sums)
        self.add(
            Linear(
                x=x.name,
                weight=weight_name,
                bias=self.tensor(f"{out}.bias", integers),
                bias_shift=shift,
                out=out,
                **fields,
            )
        )
        return Scaled(out, one_if_equal(weight.scale))

    def factors(self, out: str, ratio: Float64, least: int) -> dict[str, Any]:
        """The fields of an instruction that brings its result `out` to another scale; `least` is
        the smallest shift that it takes."""
        multiplier, shift = factors(one_if_equal(ratio), least, MAX_FACTOR_SHIFT)
        return {
            "multiplier": self.tensor(f"{out}.multiplier", multiplier),
            "shift": self.tensor(f"{out}.shift", shift),
        }

    def bias(self, name: str) -> NDArray[Any]:
        rows = len(self.model.tensors[f"{name}.weight"])
        return self.model.tensors.get(f"{name}.bias", np.zeros(rows, np.float32))

    def data_scale(self, name: str) -> Float64:
        return self.group_scales(name, 1)

    def stream_scale(self, name: str) -> Float64:
        """The scale of a value of which only the wide form is used: it holds HEADROOM and more."""
        largest = max(self.ranges.maximum(name), 1e-9)
        return np.array([largest * HEADROOM / WIDE_MAX * 2.0**WIDE_BITS])

    def group_scales(self, name: str, groups: int) -> Float64:
        return positive(self.ranges.clip(name, self.options.clip, groups)) / DATA_MAX

    def tensor(self, name: str, content: NDArray[Any]) -> str:
        """Keep a tensor under a name; the same name always has the same content."""
        kept = self.tensors.setdefault(name, content)
        assert np.array_equal(kept, content), name
        return name

    def add(self, instruction: Instruction) -> None:
        self.sequence.append(instruction)


def one_if_equal(x: Float64) -> Float64:
    """[1] instead of [n] where all are the same: per tensor instead of per channel."""
    return x[:1] if np.all(x == x[0]) else x
