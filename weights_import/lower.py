"""Lowering: a float Transformer and its activation ranges become a Program and integer tensors.

The walk is that of the float forward pass; every value that is emitted carries its scale, and every
instruction turns the scales of its operands and of its result into integers
(`scale_propagation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from int8ref.instruction import Instruction
from int8ref.program import Program, State, Tensors
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.reference.embed import Embed
from int8ref.reference.layer_norm_l2 import FRACTION_BITS, LayerNormL2, normalized_bound
from int8ref.reference.linear import Linear
from int8ref.reference.lookup import Lookup
from int8ref.reference.match_add import MAX_MULTIPLIER, MatchAdd
from int8ref.reference.requantize import Requantize
from int8ref.reference.ssru import GATE_BITS, Ssru
from weights_import.calibrate import Ranges
from weights_import.channel_scales import Weight, choose_scale, positive, quantize_weight
from weights_import.float_model import FloatModel
from weights_import.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    Float64,
    Quantized,
    dyadic,
    fixed_point,
    integer_bias,
    largest_shift,
    quantize,
    row_scales,
    shift_scales,
)

Requantization = Literal["multiplier", "shift"]

SCORE_SHIFT = 16
SCORE_RANGE = 2**14
"""Range of exp2_negative: 16 octaves of 2^10."""
WIDE_BITS = 7
"""Fraction bits that a residual has beyond the int8 data: it reaches twice as far, too."""
HEADROOM = 2.0
"""How far beyond the largest calibrated residual sum or recurrent state 16 bits reach."""
SCORE_HEADROOM = 1.1
"""The same for queries and keys: the largest scores decide a softmax, so none may be clipped."""


@dataclass(frozen=True)
class Options:
    """What can be chosen when a model is lowered.

    requantize   how accumulators return to int8: multiplier and shift, or shift only
    clip         how activation thresholds are chosen (see `calibrate.Ranges.clip`)
    channels     whether the inputs of products may have a scale a channel (`channel_scales.py`)
    positions    most source tokens, with eos
    """

    requantize: Requantization = "multiplier"
    clip: str = "mse"
    channels: bool = True
    positions: int = 512


@dataclass(frozen=True)
class Scaled:
    """A value of the Program and the scale of its integers: [1], or one a feature.

    `wide` is the same value in int16, with WIDE_BITS more fraction bits, for the residual.
    """

    name: str
    scale: Float64
    wide: str = ""


def lower(model: FloatModel, ranges: Ranges, options: Options) -> tuple[Program, Tensors]:
    """The Program that computes what `model` computes, and its tensors.

    Raises LoweringError where a number does not fit.
    """
    return _Lowering(model, ranges, options).run()


class _Lowering:
    def __init__(self, model: FloatModel, ranges: Ranges, options: Options) -> None:
        self.model = model
        self.ranges = ranges
        self.options = options
        self.heads = model.architecture.heads
        self.head_size = model.architecture.head_size
        self.width = model.architecture.d_model
        self.tensors: Tensors = {}
        self.sequence: list[Instruction] = []
        self.states: list[State] = []
        self.chosen: dict[str, Float64] = {}

    def run(self) -> tuple[Program, Tensors]:
        architecture = self.model.architecture
        x = self.embed("encoder.embedding", "source")
        for layer in range(architecture.encoder_layers):
            x = self.encoder_layer(f"encoder.{layer}", x)
        memory = [
            self.attention_operands(f"decoder.{layer}.cross", ("key", "value"), x)
            for layer in range(architecture.decoder_layers)
        ]
        encoder, self.sequence = self.sequence, []
        x = self.embed("decoder.embedding", "target")
        for layer in range(architecture.decoder_layers):
            x = self.decoder_layer(f"decoder.{layer}", x, memory[layer])
        logits = self.logits(x)
        program = Program(
            encoder=encoder,
            decoder=self.sequence,
            states=self.states,
            logits=logits,
            start=architecture.start,
            eos=architecture.eos,
            unk=architecture.unk,
            max_source_length=self.options.positions,
            max_length_factor=round(100 * architecture.max_length_factor),
        )
        return program, self.tensors

    @cached_property
    def consumers(self) -> dict[str, list[str]]:
        """Which weights multiply each value that may have a scale a channel."""
        architecture = self.model.architecture
        found: dict[str, list[str]] = {}
        for layer in range(architecture.encoder_layers):
            block = f"encoder.{layer}"
            found[f"{block}.self.context"] = [f"{block}.self.output"]
            found[f"{block}.self.norm"] = [f"{block}.ffn.inner"]
            found[f"{block}.ffn.inner"] = [f"{block}.ffn.outer"]
            found[f"{block}.ffn.norm"] = [
                f"encoder.{layer + 1}.self.{part}" for part in ("query", "key", "value")
            ]
        found[f"encoder.{architecture.encoder_layers - 1}.ffn.norm"] = [
            f"decoder.{layer}.cross.{part}"
            for layer in range(architecture.decoder_layers)
            for part in ("key", "value")
        ]
        for layer in range(architecture.decoder_layers):
            block = f"decoder.{layer}"
            found[f"{block}.ssru.norm"] = [f"{block}.cross.query"]
            found[f"{block}.cross.context"] = [f"{block}.cross.output"]
            found[f"{block}.cross.norm"] = [f"{block}.ffn.inner"]
            found[f"{block}.ffn.inner"] = [f"{block}.ffn.outer"]
            if layer + 1 < architecture.decoder_layers:
                found[f"{block}.ffn.norm"] = [
                    f"decoder.{layer + 1}.ssru.{part}" for part in ("gate", "cell")
                ]
        return found

    def input_scale(self, name: str) -> Float64:
        """The scale of an input of products: one a channel where that serves its consumers."""
        parts = self.consumers.get(name, [])
        if not self.options.channels or not parts:
            return self.data_scale(name)
        if name not in self.chosen:
            weights = [self.source_weight(f"{part}.weight") for part in parts]
            self.chosen[name] = choose_scale(self.ranges, name, weights)
        return self.chosen[name]

    def source_weight(self, name: str) -> Weight:
        return Weight(self.model.tensors[name], self.model.grids.get(name))

    def encoder_layer(self, name: str, x: Scaled) -> Scaled:
        parts = ("query", "key", "value")
        operands = self.attention_operands(f"{name}.self", parts, x)
        context = self.attention(f"{name}.self", operands, "source")
        x = self.residual(f"{name}.self", self.accumulate(f"{name}.self.output", context), x)
        return self.feed_forward(f"{name}.ffn", x)

    def decoder_layer(self, name: str, x: Scaled, memory: dict[str, Operand]) -> Scaled:
        x = self.residual(f"{name}.ssru", self.ssru(f"{name}.ssru", x), x)
        query = self.attention_operands(f"{name}.cross", ("query",), x)
        context = self.attention(f"{name}.cross", query | memory, "target")
        x = self.residual(f"{name}.cross", self.accumulate(f"{name}.cross.output", context), x)
        return self.feed_forward(f"{name}.ffn", x)

    def feed_forward(self, name: str, x: Scaled) -> Scaled:
        hidden_scale = self.input_scale(f"{name}.inner")
        hidden = self.linear(f"{name}.inner", [f"{name}.inner"], x, hidden_scale, low=0)
        return self.residual(name, self.accumulate(f"{name}.outer", hidden), x)

    def embed(self, name: str, domain: str) -> Scaled:
        """Embedding times its scale, plus position."""
        table = self.table(f"{domain}_embedding")
        scale = self.data_scale(name)
        positions = self.model.position_table(self.options.positions)
        position_scale = max(float(np.abs(positions).max()), 1e-9) / DATA_MAX
        factor = self.model.architecture.embedding_scale * float(table.scale[0]) / float(scale[0])
        position_factor = position_scale / float(scale[0])
        shift = largest_shift(128 * (factor + position_factor), 2**30, 30)
        self.add(
            Embed(
                ids=f"{domain}.ids",
                positions=f"{domain}.positions",
                table=self.embedding_name(domain, table),
                position_table=self.tensor(
                    "positions", quantize(positions, np.array([position_scale])).x
                ),
                multiplier=int(fixed_point(np.array(factor), shift)),
                position_multiplier=int(fixed_point(np.array(position_factor), shift)),
                shift=shift,
                wide_bits=WIDE_BITS,
                out=name,
                wide=f"{name}.wide",
            )
        )
        return Scaled(name, scale, f"{name}.wide")

    def logits(self, x: Scaled) -> str:
        """Logits are accumulators: one scale for all, so that they compare as they are."""
        table = self.table("output.weight")
        weight = Quantized(table.x, table.scale * x.scale)
        bias = self.model.tensors.get("output.bias")
        self.emit_linear("decoder.logits", self.embedding_name("target", table), weight, bias, x)
        return "decoder.logits"

    def embedding_name(self, domain: str, table: Quantized) -> str:
        """Keep an embedding or output matrix: tied ones once."""
        for name, array in self.tensors.items():
            if array.shape == table.x.shape and np.array_equal(array, table.x):
                return name
        return self.tensor(f"{domain}.embedding", table.x)

    def attention_operands(
        self, name: str, parts: tuple[str, ...], x: Scaled
    ) -> dict[str, Operand]:
        """Queries, keys and values in one product; one scale a head."""
        scales = [self.operand_scale(name, part) for part in parts]
        out = f"{name}.{'_'.join(parts)}"
        every = np.concatenate(scales)
        self.linear(out, [f"{name}.{part}" for part in parts], x, every)
        return {
            part: Operand(out, index * self.width, scale)
            for index, (part, scale) in enumerate(zip(parts, scales, strict=True))
        }

    def attention(self, name: str, operands: dict[str, Operand], domain: str) -> Scaled:
        query, key, value = (operands[part] for part in ("query", "key", "value"))
        scale = self.context_scale(name)
        head = slice(None, None, self.head_size)
        temperature = np.sqrt(self.head_size) / np.log2(np.e)
        ratio = (query.scale * key.scale)[head] / temperature * 2**10
        multiplier = np.maximum(fixed_point(ratio, SCORE_SHIFT), 1)
        limit = np.maximum(SCORE_RANGE * 2**SCORE_SHIFT // multiplier, 1)
        context = dyadic((value.scale / scale)[head], 22, 38)
        out = f"{name}.context"
        self.add(
            AttentionSoftmax(
                query=query.value,
                key=key.value,
                value=value.value,
                sentence=f"{domain}.sentence",
                key_offsets="source.offsets",
                heads=self.heads,
                head_width=self.head_size,
                query_column=query.column,
                key_column=key.column,
                value_column=value.column,
                score_multiplier=self.tensor(f"{name}.score_multiplier", multiplier),
                score_limit=self.tensor(f"{name}.score_limit", limit.astype(np.int32)),
                score_shift=SCORE_SHIFT,
                context_multiplier=self.tensor(f"{name}.context_multiplier", context[0]),
                context_shift=self.tensor(f"{name}.context_shift", context[1]),
                out=out,
            )
        )
        return Scaled(out, scale)

    def operand_scale(self, name: str, part: str) -> Float64:
        """Scales of queries, keys or values, a channel.

        Queries and keys meet in a dot product: the products of their scales agree within a head,
        and a channel where one of them is large gets a finer scale for the other.  Values follow
        the context, whose channels they become.
        """
        if part != "value":
            other = {"query": "key", "key": "query"}[part]
            mine, others = (
                np.maximum(self.ranges.maxima[f"{name}.{p}"].astype(np.float64), 1e-3)
                for p in (part, other)
            )
            largest = np.sqrt(mine * others).reshape(self.heads, -1).max(axis=1)
            reach = SCORE_HEADROOM * np.repeat(largest, self.head_size)
            scale: Float64 = reach * np.sqrt(mine / others) / DATA_MAX
            return scale
        context = np.broadcast_to(self.context_scale(name), (self.width,))
        clip = self.group_scales(f"{name}.value", self.width)
        fit = (clip / context).reshape(self.heads, -1).max(axis=1)
        return context * np.repeat(fit, self.head_size)

    def context_scale(self, name: str) -> Float64:
        scale = self.input_scale(f"{name}.context")
        return np.broadcast_to(scale, (self.width,)) if scale.size > 1 else scale

    def ssru(self, name: str, x: Scaled) -> Scaled:
        """The recurrent cell: a gate by table, and a state of 16 bits."""
        gate_scale = self.data_scale(f"{name}.gate")
        gate = self.linear(f"{name}.gate", [f"{name}.gate"], x, gate_scale)
        codes = np.arange(-128, 128) * gate_scale[0]
        table = np.minimum(np.rint(2**GATE_BITS / (1 + np.exp(-codes))), WIDE_MAX)
        opened = f"{name}.opened"
        self.add(
            Lookup(
                x=gate.name,
                table=self.tensor(f"{name}.sigmoid", table.astype(np.int16)),
                out=opened,
            )
        )
        cell = self.accumulate(f"{name}.cell", x)
        largest = max(self.ranges.maximum(f"{name}.{part}") for part in ("cell", "state"))
        scale = np.array([max(largest, 1e-9) * HEADROOM / WIDE_MAX])
        multiplier, shift = dyadic(cell.scale / scale, 1, 62)
        self.add(
            Requantize(
                x=cell.name,
                multiplier=self.tensor(f"{name}.cell.multiplier", multiplier),
                shift=self.tensor(f"{name}.cell.shift", shift),
                limit=WIDE_MAX,
                out=f"{name}.input",
            )
        )
        state = State(f"{name}.state", f"{name}.next_state", "int16", self.width)
        self.states.append(state)
        self.add(
            Ssru(
                x=f"{name}.input",
                gate=opened,
                state=state.value,
                next_state=state.next_value,
                out=f"{name}.out",
            )
        )
        return Scaled(f"{name}.out", scale)

    def residual(self, name: str, branch: Scaled, x: Scaled) -> Scaled:
        """norm(branch + x): added in 16 bits, normalised to 8."""
        largest = max(self.ranges.maximum(f"{name}.sum"), 1e-9)
        scale = largest * HEADROOM / WIDE_MAX
        ratios = branch.scale / scale, x.scale / scale * 2.0**-WIDE_BITS
        shift = largest_shift(float(max(r.max() for r in ratios)), MAX_MULTIPLIER, 30)
        factors = [fixed_point(ratio, shift) for ratio in ratios]
        self.add(
            MatchAdd(
                a=branch.name,
                b=x.wide,
                a_multiplier=self.tensor(f"{name}.branch_multiplier", factors[0]),
                b_multiplier=self.tensor(f"{name}.residual_multiplier", factors[1]),
                shift=shift,
                limit=WIDE_MAX,
                out=f"{name}.sum",
            )
        )
        return self.norm(f"{name}.norm", f"{name}.sum", scale)

    def norm(self, name: str, x: str, x_scale: float) -> Scaled:
        scale = self.input_scale(name)
        gain = self.model.tensors[f"{name}.gain"].astype(np.float64) / scale
        bias = self.model.tensors[f"{name}.bias"].astype(np.float64) / scale
        unit = 2.0**-FRACTION_BITS
        bound = normalized_bound(self.width) * np.abs(gain).max() * unit + np.abs(bias).max()
        shift = min(
            largest_shift(float(np.abs(gain).max()) * unit, WIDE_MAX, 30),
            largest_shift(float(bound), 2**30, 30),
        )
        epsilon = self.model.architecture.norm_epsilon * (self.width / x_scale) ** 2
        self.add(
            LayerNormL2(
                x=x,
                gain=self.tensor(f"{name}.gain", fixed_point(gain * unit, shift).astype(np.int16)),
                bias=self.tensor(f"{name}.bias", fixed_point(bias, shift)),
                shift=shift,
                epsilon=round(epsilon),
                wide_bits=WIDE_BITS,
                out=name,
                wide=f"{name}.wide",
            )
        )
        return Scaled(name, scale, f"{name}.wide")

    def accumulate(self, name: str, x: Scaled) -> Scaled:
        """x times a weight, as accumulators."""
        weight = quantize_weight(self.source_weight(f"{name}.weight"), x.scale)
        bias = self.model.tensors.get(f"{name}.bias")
        return self.emit_linear(
            f"{name}.accumulator", self.tensor(f"{name}.weight", weight.x), weight, bias, x
        )

    def linear(
        self, out: str, parts: list[str], x: Scaled, out_scale: Float64, low: int = -DATA_MAX
    ) -> Scaled:
        """x times one or more weights side by side, requantised to `out_scale`."""
        shift_only = self.options.requantize == "shift"
        weights, shifts = [], []
        rows = [len(self.model.tensors[f"{part}.weight"]) for part in parts]
        scales = np.split(np.broadcast_to(out_scale, (sum(rows),)), np.cumsum(rows)[:-1])
        for part, wanted in zip(parts, scales, strict=True):
            if shift_only:
                folded = self.model.tensors[f"{part}.weight"] * x.scale
                grid, shift = shift_scales(folded, wanted)
                weights.append(quantize(folded, grid))
                shifts.append(shift)
            else:
                weights.append(quantize_weight(self.source_weight(f"{part}.weight"), x.scale))
        weight = Quantized(
            np.concatenate([w.x for w in weights]),
            np.concatenate([np.broadcast_to(w.scale, (len(w.x),)) for w in weights]),
        )
        biases = [self.bias(part) for part in parts]
        fields: dict[str, Any] = {"low": low}
        if shift_only:
            fields["shift"] = self.tensor(f"{out}.shift", np.concatenate(shifts))
        else:
            ratio = one_if_equal(weight.scale / out_scale)
            multiplier, bits = dyadic(ratio, 32, 62)
            fields["multiplier"] = self.tensor(f"{out}.multiplier", multiplier)
            fields["shift"] = self.tensor(f"{out}.shift", bits)
        name = self.tensor(f"{out}.weight", weight.x)
        self.emit_linear(out, name, weight, np.concatenate(biases), x, **fields)
        return Scaled(out, out_scale)

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
        integers, shift = integer_bias(real, weight.scale)
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

    def bias(self, name: str) -> NDArray[Any]:
        rows = len(self.model.tensors[f"{name}.weight"])
        return self.model.tensors.get(f"{name}.bias", np.zeros(rows, np.float32))

    def table(self, name: str) -> Quantized:
        """An embedding or output matrix: one scale, the checkpoint's own where it has one."""
        w = self.model.tensors[name]
        grid = self.model.grids.get(name)
        return quantize(w, np.array([grid]) if grid else row_scales(w).max(keepdims=True))

    def data_scale(self, name: str) -> Float64:
        return self.group_scales(name, 1)

    def group_scales(self, name: str, groups: int) -> Float64:
        return positive(self.ranges.clip(name, self.options.clip, groups)) / DATA_MAX

    def tensor(self, name: str, content: NDArray[Any]) -> str:
        """Keep a tensor under a name; the same name always has the same content."""
        kept = self.tensors.setdefault(name, content)
        assert np.array_equal(kept, content), name
        return name

    def add(self, instruction: Instruction) -> None:
        self.sequence.append(instruction)


@dataclass(frozen=True)
class Operand:
    """Queries, keys or values: the value and column they begin at, and a scale a column."""

    value: str
    column: int
    scale: Float64


def one_if_equal(x: Float64) -> Float64:
    """[1] instead of [n] where all are the same: per tensor instead of per channel."""
    return x[:1] if np.all(x == x[0]) else x
