"""Lowering: a float Transformer and its activation ranges become a Program and integer tensors.

The walk is that of the float forward pass; every value that is emitted carries its scale, and every
instruction turns the scales of its operands and of its result into integers (`emitter.py`,
`scale_propagation.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from int8ref.program import Program, State, Tensors
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.reference.embed import Embed
from int8ref.reference.lookup import Lookup
from int8ref.reference.requantize import Requantize
from int8ref.reference.ssru import GATE_BITS, Ssru
from weights_import.calibrate import Ranges
from weights_import.emitter import HEADROOM, WIDE_BITS, Emitter, Options, Scaled
from weights_import.float_model import Architecture, FloatModel
from weights_import.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    Float64,
    Quantized,
    dyadic,
    fixed_point,
    largest_shift,
    quantize,
)

__all__ = ["Options", "lower"]

SCORE_SHIFT = 16
SCORE_RANGE = 2**14
"""Range of exp2_negative: 16 octaves of 2^10."""
SCORE_HEADROOM = 1.1
"""How far beyond the largest calibrated queries and keys 8 bits reach: the largest scores decide a
softmax, so none may be clipped."""


def lower(model: FloatModel, ranges: Ranges, options: Options) -> tuple[Program, Tensors]:
    """The Program that computes what `model` computes, and its tensors.

    Raises LoweringError where a number does not fit.
    """
    return _Lowering(model, ranges, options).run()


def consumers(architecture: Architecture) -> dict[str, list[str]]:
    """Which weights multiply each value that may have a scale a channel."""
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


@dataclass(frozen=True)
class Operand:
    """Queries, keys or values: the value and column they begin at, and a scale a column."""

    value: str
    column: int
    scale: Float64


class _Lowering(Emitter):
    """The walk over a model."""

    def __init__(self, model: FloatModel, ranges: Ranges, options: Options) -> None:
        super().__init__(model, ranges, options, consumers(model.architecture))
        self.heads = model.architecture.heads
        self.head_size = model.architecture.head_size
        self.states: list[State] = []

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
        values: Float64 = context * np.repeat(fit, self.head_size)
        return values

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
