"""Emits instructions and tensors, and turns the scales of their operands into integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.program.program import Tensors
from int8ref.reference import layer_norm_l1, layer_norm_l2
from int8ref.reference.layer_norm import FRACTION_BITS, MAX_BIAS_SHIFT, LayerNorm
from int8ref.reference.layer_norm_l1 import LayerNormL1
from int8ref.reference.layer_norm_l2 import LayerNormL2
from int8ref.reference.linear import MAX_FACTOR_SHIFT, MIN_FACTOR_SHIFT, Linear
from int8ref.reference.match_add import MAX_RAISE, MatchAdd
from int8ref.reference.requantize import Requantize
from int8ref.reference.rescale import Rescale
from int8ref.reference.rms_norm import RmsNorm
from int8ref.spec.instruction import Instruction
from weights_import.calibrate import Ranges
from weights_import.channel_scales import (
    NORM_SPREAD,
    PRODUCT_SPREAD,
    SPREAD,
    channel_scales,
    positive,
)
from weights_import.float_model import FloatModel
from weights_import.integer_weights import IntegerWeights, Rows
from weights_import.least_scales import (
    BRANCH_BIAS_BITS,
    SMALLEST,
    at_least,
    least_norm,
    least_result,
    least_stream,
    least_sum,
)
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


Start = tuple[NDArray[np.integer], int]
"""A bias in integers, and its shift."""


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
    """A kind of layer norm: its instruction, the bound of its normalised values, the power of the
    residual's scale in which its epsilon counts, and the largest epsilon."""

    instruction: type[LayerNorm]
    normalized_bound: Callable[[int], int]
    power: int
    largest_epsilon: int


NORMS = {
    "l2": Norm(LayerNormL2, layer_norm_l2.normalized_bound, 2, 2**60),
    "l1": Norm(LayerNormL1, layer_norm_l1.normalized_bound, 1, 2**30),
    "rms": Norm(RmsNorm, layer_norm_l2.normalized_bound, 2, 2**60),
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
        limit, headroom = (WIDE_MAX, HEADROOM) if self.wide_residual else (DATA_MAX, 1.0)
        largest = self.ranges.maximum(f"{name}.sum")
        least = max(self.least_stream, least_sum(branch.scale, stream.scale, branch.bias))
        scale = np.array([max(largest * headroom / limit, least)])
        ratios = branch.scale / scale, stream.scale / scale
        largest_a, largest_b = (float(ratio.max()) for ratio in ratios)
        shift = min(
            largest_shift(largest_a, WIDE_MAX, 61),
            largest_shift(largest_b, WIDE_MAX << MAX_RAISE, 61),
        )
        if branch.bias is not None:
            largest_bias = float(np.abs(branch.bias).max()) / float(scale[0])
            shift = min(shift, largest_shift(largest_bias, WIDE_MAX << BRANCH_BIAS_BITS, 61))
        b_shift = max(0, shift - largest_shift(largest_b, WIDE_MAX, 61))
        multipliers = [
            fixed_point(ratio, bits).astype(np.int16)
            for ratio, bits in zip(ratios, (shift, shift - b_shift), strict=True)
        ]
        raised: dict[str, Any] = {}
        if branch.bias is not None:
            bias, bits = integer_bias(branch.bias, scale * 2.0**-shift, BRANCH_BIAS_BITS)
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
        kind = NORMS[architecture.norm]
        normalized = kind.normalized_bound(self.width)
        gain = self.model.tensors[f"{name}.gain"].astype(np.float64)
        zeros = np.zeros(self.width, np.float32)
        bias = self.model.tensors.get(f"{name}.bias", zeros).astype(np.float64)
        least = least_norm(gain, bias, normalized, WIDE_BITS if wide else 1)
        scale = at_least(self.input_scale(name), least)
        gain, bias = gain / scale, bias / scale
        unit = 2.0**-FRACTION_BITS
        bound = normalized * np.abs(gain).max() * unit + np.abs(bias).max()
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
                epsilon=min(round(epsilon), kind.largest_epsilon),
                wide_bits=WIDE_BITS if wide else 0,
                out=name,
                wide=f"{name}.wide" if wide else None,
            )
        )
        return Scaled(name, scale, f"{name}.wide" if wide else "")

    def rows(self, parts: list[str], x: Scaled, free: bool = False) -> Rows:
        """One or more weights side by side, which multiply x, and their bias."""
        rows = self.weights.rows(parts, x.name, x.scale, free)
        return rows.biased(np.concatenate([self.bias(part) for part in parts]))

    def accumulate(self, name: str, x: Scaled) -> Scaled:
        """x times a weight, as accumulators; without the bias where each row of x has an exponent
        of its own."""
        if not x.exponent:
            return self.accumulated(name, self.rows([name], x), x)
        product = self.accumulated(name, self.weights.rows([name], x.name, x.scale), x)
        return replace(product, exponent=x.exponent, bias=self.bias(name))

    def accumulated(
        self, name: str, rows: Rows, x: Scaled, wanted: Float64 | None = None
    ) -> Scaled:
        """x times rows, as accumulators; `wanted`, if given, is the scale that they are requantised
        to."""
        weight = self.weights.beside(rows, wanted)
        kept = self.tensor(f"{name}.weight", weight.x)
        start = self.start(weight, rows.bias, x)
        return self.emit_linear(f"{name}.accumulator", kept, weight, start, x)

    def wide(self, out: str, name: str, rows: Rows, x: Scaled, scale: Float64) -> Scaled:
        """x times rows in 16 bits, by the accumulators of `name`; on a scale that is reached."""
        scale = at_least(scale, least_result(rows.scale, 1))
        product = self.accumulated(name, rows, x, scale)
        fields = self.factors(out, product.scale / scale, 1)
        self.add(Requantize(x=product.name, limit=WIDE_MAX, out=out, **fields))
        return Scaled(out, scale)

    def before_products(
        self, out: str, scale: Float64, least: Float64, group: int = 1
    ) -> tuple[Scaled, int]:
        """How an instruction gives what products take in: the value, and its limit; on a scale that
        is `at_least` another.  It has 8 bits and is `out`, or with dynamic re-scaling 16, and
        another name, until it is `narrow`."""
        if self.options.rescaling == "static":
            return Scaled(out, at_least(scale, least, group)), DATA_MAX
        return Scaled(f"{out}.wide", at_least(scale * 2.0**-WIDE_BITS, least, group)), WIDE_MAX

    def narrow(self, out: str, x: Scaled) -> Scaled:
        """A value from `before_products` as products take it."""
        return x if x.name == out else self.rescale(out, x, low=-WIDE_MAX)

    def rescale(self, out: str, x: Scaled, low: int) -> Scaled:
        """A value of 16 bits in 8, each row with a shift of its own."""
        exponent = f"{out}.exponent"
        self.add(Rescale(x=x.name, low=low, out=out, exponent=exponent))
        return Scaled(out, x.scale, exponent=exponent)

    def linear(
        self,
        out: str,
        parts: list[str],
        x: Scaled,
        out_scale: Float64,
        zero: int = 0,
        group: int = 1,
    ) -> Scaled:
        """x times one or more weights side by side, requantised to `out_scale`, or a larger one
        that is reached; the scales of each `group` of channels keep their proportions.

        `zero` is the integer that stands for 0.  With -127 nothing is negative: that is ReLU.
        """
        by_shift = self.options.requantize == "shift"
        rows = self.rows(parts, x, free=by_shift)
        out_scale = at_least(out_scale, least_result(rows.scale, MIN_FACTOR_SHIFT), group)
        rows = rows.biased(zero * out_scale)
        if by_shift:
            weight, shift = self.weights.shifted(rows, out_scale)
            fields = {"shift": self.tensor(f"{out}.shift", shift)}
        else:
            weight = self.weights.beside(rows, out_scale)
            fields = self.factors(out, weight.scale / out_scale, MIN_FACTOR_SHIFT)
        name = self.tensor(f"{out}.weight", weight.x)
        self.emit_linear(out, name, weight, self.start(weight, rows.bias, x), x, **fields)
        return Scaled(out, out_scale, zero=zero)

    def start(self, weight: Quantized, bias: Real, x: Scaled) -> Start:
        """What the accumulators of x times a weight begin with, and its shift."""
        sums = weight.x.sum(axis=1, dtype=np.int64)
        return integer_bias(bias - x.zero * sums * weight.scale, weight.scale, sums=sums)

    def emit_linear(
        self, out: str, weight_name: str, weight: Quantized, start: Start, x: Scaled, **fields: Any
    ) -> Scaled:
        integers, shift = start
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
        largest = self.ranges.maximum(name) * HEADROOM / WIDE_MAX
        return np.array([max(largest, SMALLEST) * 2.0**WIDE_BITS])

    @property
    def least_stream(self) -> float:
        """The least scale of what a norm takes."""
        architecture = self.model.architecture
        kind, epsilon = NORMS[architecture.norm], architecture.norm_epsilon
        return max(least_stream(self.width, epsilon, kind.power, kind.largest_epsilon), SMALLEST)

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
