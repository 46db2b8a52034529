"""Lowering: a float Transformer and its activation ranges become a Program and integer tensors.

The walk is that of the float forward pass; every value that is emitted carries its scale, and every
instruction turns the scales of its operands and of its result into integers (`emitter.py`,
`scale_propagation.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from int8ref.program.program import Program, State, Tensors
from int8ref.reference.embed import Embed
from int8ref.reference.interpolate import Interpolate
from int8ref.reference.linear import MIN_FACTOR_SHIFT
from int8ref.reference.log_softmax import MAX_MULTIPLIER, MAX_SHIFT, LogSoftmax
from int8ref.reference.lookup import Lookup
from int8ref.reference.multiply import Multiply
from int8ref.reference.ssru import GATE_BITS, Ssru
from int8ref.spec.arithmetic import LOG_BITS
from weights_import.activation_table import activation_table, wide_table
from weights_import.activations import ACTIVATIONS
from weights_import.calibrate import Ranges
from weights_import.centring import centre_values
from weights_import.emit_attention import AttentionEmitter, Operands
from weights_import.emitter import HEADROOM, WIDE_BITS, Scaled, wide_form
from weights_import.finite import quietly, require_finite
from weights_import.float_model import Architecture, FloatModel
from weights_import.head_basis import balance_heads
from weights_import.integer_weights import in_one_scale
from weights_import.least_scales import SMALLEST, at_least, least_result
from weights_import.options import Options
from weights_import.oscillator import frequencies, wave
from weights_import.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    Quantized,
    fixed_point,
    largest_shift,
    logit_bias,
    told_where,
)

__all__ = ["Options", "lower"]

RELU_ZERO = -DATA_MAX
"""The integer that stands for 0 where nothing is negative: 255 integers instead of 128."""

WIDE_REACH = 2.0
"""How far the 16 bits of an embedding reach, in those of its 8 bits."""
LEAST_LOGIT = 2.0**-24
"""Of the unit of the logits, as a share of their usual bias."""


def lower(model: FloatModel, ranges: Ranges, options: Options) -> tuple[Program, Tensors]:
    """The Program that computes what `model` computes, and its tensors.

    Raises LoweringError where a number does not fit.
    """
    products = consumers(model.architecture)
    model, ranges = easier(model, ranges, products | {last_norm(model.architecture): ["output"]})
    return _Lowering(model, ranges, options, products).run()


def last_norm(architecture: Architecture) -> str:
    """The value that the output matrix multiplies."""
    pre = architecture.norm_position == "pre"
    return "decoder.norm" if pre else f"decoder.{architecture.decoder_layers - 1}.ffn.norm"


@quietly
def easier(
    model: FloatModel, ranges: Ranges, products: dict[str, list[str]]
) -> tuple[FloatModel, Ranges]:
    """A model that computes the same, of values that lose less in 8 bits; and their ranges."""
    given = model
    model = replace(model, tensors=dict(model.tensors), grids=dict(model.grids))
    ranges = replace(ranges, maxima=dict(ranges.maxima), samples=dict(ranges.samples))
    balance_heads(model, ranges)
    centre_values(model, ranges, products)
    for name, x in (model.tensors | ranges.maxima).items():
        require_finite(given, name, x)
    return model, ranges


Blocks = list[tuple[str, tuple[str, ...]]]
"""The sublayers of a stack in order: name, and the weights that multiply its input."""


def blocks(architecture: Architecture, stack: str) -> Blocks:
    """The sublayers of the encoder or the decoder."""
    attention = "self", ("query", "key", "value")
    feed_forward = "ffn", ("gate", "inner") if architecture.gated else ("inner",)
    layer: Blocks = [attention, feed_forward]
    depth = architecture.encoder_layers
    if stack == "decoder":
        depth = architecture.decoder_layers
        first = ("ssru", ("gate", "cell")) if architecture.decoder_cell == "ssru" else attention
        cross: Blocks = [("cross", ("query",))] if architecture.encoder_layers else []
        layer = [first, *cross, feed_forward]
    return [(f"{stack}.{i}.{name}", parts) for i in range(depth) for name, parts in layer]


def consumers(architecture: Architecture) -> dict[str, list[str]]:
    """Which weights multiply each value that may have a scale a channel."""
    found: dict[str, list[str]] = {}
    memory = [
        f"decoder.{layer}.cross.{part}"
        for layer in range(architecture.decoder_layers)
        for part in ("key", "value")
    ]
    for stack, readers in (("encoder", memory), ("decoder", [])):
        sequence = blocks(architecture, stack)
        inputs = [[f"{block}.{part}" for part in parts] for block, parts in sequence]
        for block, parts in sequence:
            if parts[0] == "query":
                found[f"{block}.context"] = [f"{block}.output"]
            if parts[-1] == "inner":
                hidden = "product" if architecture.gated else "inner"
                found[f"{block}.{hidden}"] = [f"{block}.outer"]
        if architecture.norm_position == "post":
            inputs = [*inputs[1:], readers]
        elif sequence:
            found[f"{stack}.norm"] = readers
        found |= {f"{name}.norm": parts for (name, _), parts in zip(sequence, inputs, strict=True)}
    return {value: weights for value, weights in found.items() if weights}


def log_softmax(logits: Scaled) -> LogSoftmax:
    """What makes log-probabilities of logits, which have one scale.

    A unit of the largest multiplier is 1,024 octaves, beyond which a probability is 0 anyway; one
    of the smallest is 2^-36 of a unit of the result.
    """
    (scale,) = logits.scale
    factor = float(scale) * np.log2(np.e) * 2**LOG_BITS
    shift = max(largest_shift(factor, MAX_MULTIPLIER, MAX_SHIFT), 0)
    multiplier = int(fixed_point(np.array(min(factor, MAX_MULTIPLIER)), shift))
    return LogSoftmax(
        x=logits.name,
        multiplier=max(multiplier, 1),
        shift=shift,
        out="decoder.log_softmax",
    )


class _Lowering(AttentionEmitter):
    """The walk over a model."""

    def run(self) -> tuple[Program, Tensors]:
        architecture = self.model.architecture
        memory: list[Operands] = []
        if architecture.encoder_layers:
            x = self.embed("encoder", "source")
            for layer in range(architecture.encoder_layers):
                x = self.encoder_layer(f"encoder.{layer}", x)
            x = self.finish("encoder", x)
            memory = [
                self.attention_operands(f"decoder.{layer}.cross", ("key", "value"), x)
                for layer in range(architecture.decoder_layers)
            ]
        encoder, self.sequence = self.sequence, []
        x = self.embed("decoder", "target")
        for layer in range(architecture.decoder_layers):
            x = self.decoder_layer(f"decoder.{layer}", x, memory[layer] if memory else None)
        logits, frame = self.logits(self.finish("decoder", x)), architecture.source_frame
        program = Program(
            encoder=encoder,
            decoder=self.sequence,
            states=self.states,
            logits=logits.name,
            log_softmax=log_softmax(logits),
            start=architecture.start,
            eos=architecture.eos,
            unk=architecture.unk,
            max_source_length=self.positions if memory else 0,
            max_length_factor=round(100 * architecture.max_length_factor) if memory else 0,
            alpha=round(100 * architecture.alpha),
            source_frame=msgspec.UNSET if frame is None else frame,
            target_prefix=architecture.target_prefix or msgspec.UNSET,
        )
        return program, self.tensors

    def encoder_layer(self, name: str, x: Scaled) -> Scaled:
        x = self.residual(f"{name}.self", x, lambda y: self.self_attention(f"{name}.self", y))
        return self.feed_forward(f"{name}.ffn", x)

    def decoder_layer(self, name: str, x: Scaled, memory: Operands | None) -> Scaled:
        if self.model.architecture.decoder_cell == "ssru":
            x = self.residual(f"{name}.ssru", x, lambda y: self.ssru(f"{name}.ssru", y))
        else:
            at = f"{name}.self"
            x = self.residual(at, x, lambda y: self.self_attention(at, y, history=True))
        if memory is not None:
            cross = f"{name}.cross"
            x = self.residual(cross, x, lambda y: self.cross_attention(cross, y, memory))
        return self.feed_forward(f"{name}.ffn", x)

    def self_attention(self, name: str, x: Scaled, history: bool = False) -> Scaled:
        operands = self.attention_operands(name, ("query", "key", "value"), x)
        if history:
            context = self.attention(name, self.history(name, operands), None)
        else:
            context = self.attention(name, operands, "source")
        return self.accumulate(f"{name}.output", context)

    def cross_attention(self, name: str, x: Scaled, memory: Operands) -> Scaled:
        query = self.attention_operands(name, ("query",), x)
        return self.accumulate(f"{name}.output", self.attention(name, query | memory, "target"))

    def feed_forward(self, name: str, x: Scaled) -> Scaled:
        def branch(y: Scaled) -> Scaled:
            gated = self.model.architecture.gated
            hidden = self.gated(name, y) if gated else self.hidden(f"{name}.inner", y)
            return self.accumulate(f"{name}.outer", hidden)

        return self.residual(name, x, branch)

    def gated(self, name: str, x: Scaled) -> Scaled:
        """The hidden layer of 8 bits times its gate of 16."""
        gate, inner, out = f"{name}.gate", f"{name}.inner", f"{name}.product"
        channels = 1 if self.options.scales == "tensor" else self.model.architecture.d_ffn
        opened = self.opened(gate, x)
        linear = self.linear(inner, [inner], x, self.group_scales(inner, channels))
        product = opened.scale * linear.scale
        found, limit = self.before_products(out, self.input_scale(out), least_result(product, 1))
        fields = self.factors(out, product / found.scale, 1)
        self.add(
            Multiply(
                a=opened.name,
                b=linear.name,
                limit=limit,
                out=found.name,
                **fields,
            )
        )
        return self.narrow(out, found)

    def opened(self, name: str, x: Scaled) -> Scaled:
        """A gate after its activation, all in 16 bits, as it is multiplied before it is rounded."""
        largest = max(self.ranges.maximum(f"{name}.before"), SMALLEST)
        scale = np.array([largest * HEADROOM / WIDE_MAX])
        before = self.wide(f"{name}.before", name, self.rows([name], x), x, scale)
        function = ACTIVATIONS[self.model.architecture.activation]
        table, unit = wide_table(function, float(before.scale[0]))
        kept = self.tensor(f"{name}.activation", table)
        self.add(Interpolate(x=before.name, table=kept, out=name))
        return Scaled(name, np.array([unit]))

    def hidden(self, name: str, x: Scaled) -> Scaled:
        """The hidden layer after its activation, which has a static scale unless it is ReLU."""
        if self.model.architecture.activation != "relu":
            return self.activated(name, x)
        if self.options.rescaling == "static":
            return self.linear(name, [name], x, self.input_scale(name, RELU_ZERO), RELU_ZERO)
        scale = self.input_scale(name) * 2.0**-WIDE_BITS
        wide = self.wide(f"{name}.wide", name, self.rows([name], x), x, scale)
        return self.rescale(name, wide, low=0)

    def activated(self, name: str, x: Scaled) -> Scaled:
        """A hidden layer whose activation is a table of the 255 integers that come before it."""
        function = ACTIVATIONS[self.model.architecture.activation]
        least = least_result(self.rows([name], x).scale.max(), MIN_FACTOR_SHIFT)
        made = activation_table(function, self.ranges.samples[f"{name}.before"], float(least))
        scale, after = np.array([made.before.scale]), made.after
        before = self.linear(f"{name}.before", [name], x, scale, made.before.zero)
        self.add(
            Lookup(x=before.name, table=self.tensor(f"{name}.activation", made.table), out=name)
        )
        return Scaled(name, np.array([after.scale]), zero=after.zero)

    def residual(self, name: str, x: Scaled, branch: Callable[[Scaled], Scaled]) -> Scaled:
        """A sublayer around `branch`, which gives accumulators (or 16 bits) for an 8-bit input.

        post-norm: norm(x + branch(x)), x in 8 bits with a wide form for the sum;
        pre-norm: x + branch(norm(x)), x the sum itself.
        """
        with told_where(name):
            if self.pre_norm:
                y = self.norm(f"{name}.norm", x, wide=False)
                return self.add_residual(name, branch(y), x)
            total = self.add_residual(name, branch(x), self.stream(x))
            return self.norm(f"{name}.norm", total, wide=self.wide_residual)

    def finish(self, stack: str, x: Scaled) -> Scaled:
        """What follows the last layer: a norm where the layers are pre-norm."""
        return self.norm(f"{stack}.norm", x, wide=False) if self.pre_norm else x

    @property
    def pre_norm(self) -> bool:
        return self.model.architecture.norm_position == "pre"

    def embed(self, stack: str, domain: str) -> Scaled:
        """Embedding times its scale, plus position, and the norm that some models have there."""
        name = f"{stack}.embedding"
        normed = self.model.architecture.embedding_norm
        x = self.embedding(name, domain, wide_only=self.pre_norm or normed)
        if not normed:
            return wide_form(x) if self.pre_norm else x
        y = self.norm(f"{name}_norm", wide_form(x), wide=self.pre_norm or self.wide_residual)
        return wide_form(y) if self.pre_norm else y

    def embedding(self, name: str, domain: str, wide_only: bool) -> Scaled:
        """Embedding times its scale, plus position; only its wide form is used, or both are."""
        scale = self.stream_scale(name) if wide_only else self.data_scale(name)
        scale = at_least(scale, self.least_stream)
        embedded = self.model.architecture.embedding_scale
        full = WIDE_REACH * float(scale[0])
        table = self.weights.table(f"{domain}_embedding", most=full / max(embedded, SMALLEST))
        factor = embedded * float(table.scale[0]) / float(scale[0])
        added, position_scale = self.positions_of(domain, full)
        position_factor = position_scale / float(scale[0])
        shift = largest_shift(128 * (factor + position_factor), 2**30, 30)
        kept = self.embedding_name(domain, table)
        if added:
            added["position_multiplier"] = int(fixed_point(np.array(position_factor), shift))
        self.add(
            Embed(
                ids=f"{domain}.ids",
                table=kept,
                multiplier=int(fixed_point(np.array(factor), shift)),
                shift=shift,
                wide_bits=WIDE_BITS,
                out=name,
                wide=f"{name}.wide",
                **added,
            )
        )
        return Scaled(name, scale, f"{name}.wide")

    def positions_of(self, domain: str, most: float) -> tuple[dict[str, Any], float]:
        """Fields for what is added for the positions, and its scale: a wave where they are
        sinusoids, else a table, with a scale as in `in_one_scale`; nothing where they turn queries
        and keys instead."""
        if self.model.architecture.rotary:
            return {}, 0.0
        name = self.model.position_name(domain)
        exact = self.model.position_table(domain, self.positions)
        fields: dict[str, Any] = {"positions": f"{domain}.positions"}
        found = frequencies(exact)
        if found is not None:
            fields["frequencies"] = self.tensor(f"{name}.frequencies", found)
            fields["wave"] = self.tensor("wave", wave())
            return fields | {"max_positions": len(exact)}, 1 / DATA_MAX
        table = in_one_scale(exact, most=most)
        return fields | {"position_table": self.tensor(name, table.x)}, float(table.scale[0])

    def logits(self, x: Scaled) -> Scaled:
        """Logits are accumulators: one scale for all, so that they compare as they are.

        It is such that most biases fit in 32 bits, as a matrix may be zero or nearly so.
        """
        bias = self.bias("output")
        usual = float(np.median(np.abs(bias))) * LEAST_LOGIT
        table = self.weights.table("output.weight", least=max(usual / float(x.scale[0]), SMALLEST))
        weight = Quantized(table.x, table.scale * x.scale)
        start = logit_bias(bias, weight.scale, weight.x)
        name = self.embedding_name("output", table)
        return self.emit_linear("decoder.logits", name, weight, start, x)

    def ssru(self, name: str, x: Scaled) -> Scaled:
        """The recurrent cell: a gate by table, and a state of 16 bits."""
        gate_scale = self.data_scale(f"{name}.gate")
        gate = self.linear(f"{name}.gate", [f"{name}.gate"], x, gate_scale)
        codes = np.arange(-128, 128) * gate_scale[0]
        with np.errstate(over="ignore"):  # of exp(-x), which is as good as infinite there
            table = np.minimum(np.rint(2**GATE_BITS / (1 + np.exp(-codes))), WIDE_MAX)
        opened = f"{name}.opened"
        self.add(
            Lookup(
                x=gate.name,
                table=self.tensor(f"{name}.sigmoid", table.astype(np.int16)),
                out=opened,
            )
        )
        largest = max(self.ranges.maximum(f"{name}.{part}") for part in ("cell", "state"))
        scale = np.array([max(largest, SMALLEST) * HEADROOM / WIDE_MAX])
        cell = f"{name}.cell"
        scale = self.wide(f"{name}.input", cell, self.rows([cell], x), x, scale).scale
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
