"""Collects instructions and tensors, and turns the scales of their operands into integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from int8ref.program.program import State
from int8ref.program.program import Tensors as IntegerTensors
from int8ref.reference.linear import MAX_FACTOR_SHIFT
from int8ref.reference.rescale import Rescale
from int8ref.spec.instruction import Instruction
from weights_import.lowering.channel_scales import channel_scales, positive
from weights_import.lowering.integer_weights import IntegerWeights
from weights_import.lowering.least_scales import SMALLEST, at_least
from weights_import.lowering.meaning import Meanings
from weights_import.lowering.observed import Observed
from weights_import.lowering.options import LoweringOptions
from weights_import.lowering.scale_propagation import (
    DATA_MAX,
    WIDE_MAX,
    Float64,
    Quantized,
    factors,
    fixed_point,
)
from weights_import.lowering.scaled import WIDE_BITS, Scaled, wide_form
from weights_import.tensors import Float32, Tensors

HEADROOM = 2.0
"""16 bits reach this factor beyond the largest calibrated residual sum or recurrent state."""


class Neighbour(Protocol):
    """What an emitter asks of an operation; `float_program.Operation` describes the answers."""

    @property
    def out(self) -> str: ...

    @property
    def terms(self) -> tuple[str, ...]: ...

    @property
    def factors(self) -> tuple[str, ...]: ...

    def branch(self, emitter: Emitter, /) -> Scaled: ...

    def column_sizes(self, emitter: Emitter, value: str, /) -> Float64 | None: ...

    def proportions(self, emitter: Emitter, value: str, /) -> Float64 | None: ...

    def absorbs(self, emitter: Emitter, value: str, /) -> bool: ...

    def absorb(self, emitter: Emitter, value: str, constant: Float32, /) -> None: ...


@dataclass(frozen=True)
class Floats:
    """A float model, as an emitter sees it.

    tensors    its tensors, a copy that a change of basis may rewrite
    grids      name of a tensor -> step, for tensors that are exactly int8 * step
    producers  the operation that makes each value
    consumers  the operations that read each value
    encoder    the values of the encoder
    logits     the value that the tokens are chosen by
    positions  the number of positions that the Program has
    tied       the proportions of the scales of the channels, for matrices that make both
               embeddings and logits (`weights_import.tied_channels`)
    encodes    whether it is an encoder alone, whose output shows every rounding
    """

    tensors: Tensors
    grids: dict[str, float]
    producers: Mapping[str, Neighbour]
    consumers: Mapping[str, Sequence[Neighbour]]
    encoder: frozenset[str]
    logits: str
    positions: int
    tied: Mapping[str, Float64]
    encodes: bool = False


class Emitter:
    """Collects the instructions and tensors of a Program.

    model     what is lowered
    observed  the rows of the float values on the calibration text
    scaled    the integer values by the names of the float values
    meanings  what the values of the Program stand for
    """

    def __init__(self, model: Floats, observed: Observed, options: LoweringOptions) -> None:
        self.model = model
        self.observed = observed
        self.options = options
        self.producers, self.consumers = model.producers, model.consumers
        self.scaled: dict[str, Scaled] = {}
        self.tensors: IntegerTensors = {}
        self.encoder: list[Instruction] = []
        self.decoder: list[Instruction] = []
        self.states: list[State] = []
        self.meanings = Meanings()
        self.weights = IntegerWeights(model.tensors, model.grids, observed, options)
        self._sequence, self._operation = self.encoder, ""

    @contextmanager
    def emitting(self, operation: Neighbour) -> Iterator[None]:
        """Instructions go to the encoder or the decoder, where the operation runs."""
        before = self._sequence, self._operation
        self._sequence = self.encoder if operation.out in self.model.encoder else self.decoder
        self._operation = operation.out
        yield
        self._sequence, self._operation = before

    def domain(self, operation: Neighbour) -> str:
        """Whether an operation computes rows of the "source" or of the "target"."""
        return "source" if operation.out in self.model.encoder else "target"

    @property
    def wide_residual(self) -> bool:
        return self.options.residual == 16

    def add(self, instruction: Instruction) -> None:
        self._sequence.append(instruction)
        self.meanings.own(instruction, self._operation)

    def means(self, x: Scaled, *floats: str, turned: bool = False) -> Scaled:
        """Note the float values that are the columns of a value; the value."""
        self.meanings.note(x, *floats, turned=turned)
        return x

    def tensor(self, name: str, content: NDArray[Any]) -> str:
        """Keep a tensor under a name; the same name always has the same content."""
        kept = self.tensors.setdefault(name, content)
        assert np.array_equal(kept, content), name
        return name

    def shared(self, name: str, content: NDArray[Any]) -> str:
        """Keep a tensor that several operations may share; its name, with a number if needed."""
        found, number = name, 1
        while not np.array_equal(self.tensors.setdefault(found, content), content):
            number += 1
            found = f"{name}.{number}"
        return found

    def table(self, name: str, table: Quantized) -> str:
        """Keep an embedding or output matrix; the name of an equal matrix, if there is one."""
        for known, array in self.tensors.items():
            if array.shape == table.x.shape and np.array_equal(array, table.x):
                return known
        return self.tensor(name, table.x)

    def factors(self, out: str, ratio: Float64, least: int) -> dict[str, Any]:
        """The fields of an instruction that multiplies its result `out` by `ratio`.

        `least` is the smallest shift of the instruction.
        """
        multiplier, shift = factors(one_if_equal(ratio), least, MAX_FACTOR_SHIFT)
        return {
            "multiplier": self.tensor(f"{out}.multiplier", multiplier),
            "shift": self.tensor(f"{out}.shift", shift),
        }

    # Scales of values.

    def data_scale(self, name: str, groups: int = 1) -> Float64:
        """The scales of a value in 8 bits, one for each group of features."""
        return positive(self.observed.clip(name, self.options.clip, groups)) / DATA_MAX

    def wide_scale(self, *names: str) -> Float64:
        """The scale [1] of these values in 16 bits, with HEADROOM for the largest value."""
        largest = max(self.observed.maximum(name) for name in names)
        return np.array([max(largest, SMALLEST) * HEADROOM / WIDE_MAX])

    def input_scale(self, name: str, spread: float, zero: int = 0) -> Float64:
        """The scale of an input of products: [channels] if all of them can take it over, else [1].

        `zero` is the integer that stands for 0.
        """
        largest = DATA_MAX - zero
        tied = self._proportions(name)
        if tied is not None:
            return tied * positive(self.observed.clip_of(name, tied, self.options.clip)) / largest
        sizes = self.column_sizes(name)
        if sizes is None:
            return self.data_scale(name) * (DATA_MAX / largest)
        return channel_scales(self.observed.maxima(name), sizes, spread, largest)

    def _proportions(self, name: str) -> Float64 | None:
        """The proportions that the scales of the channels of a value must have, or None."""
        found = [one.proportions(self, name) for one in self.consumers[name]]
        return next((one for one in found if one is not None), None)

    def column_sizes(self, name: str) -> Float64 | None:
        """The usual size of the weights behind each channel of a value.

        The result is None if an operation reads the value that is neither a product nor a sum.
        """
        if self.options.scales == "tensor":
            return None
        found = []
        for operation in self.consumers[name]:
            if name in operation.terms:
                continue
            sizes = operation.column_sizes(self, name)
            if sizes is None:
                return None
            found.append(sizes)
        return np.max(found, axis=0) if found else None

    # Forms of values.

    def stream(self, name: str) -> Scaled:
        """A value in the bits of the residual."""
        x = self.scaled[name]
        return wide_form(x) if self.wide_residual else x

    def before_products(
        self, out: str, scale: Float64, least: Float64, dynamic: bool, group: int = 1
    ) -> tuple[Scaled, int]:
        """The value that an instruction writes for products, and the limit of its integers.

        The value is `out` in 8 bits.  If `dynamic`, it has 16 bits and another name, and `narrow`
        makes `out` of it.  Its scale is `scale`, raised until it is at least `least`.
        """
        if not dynamic:
            return Scaled(out, at_least(scale, least, group)), DATA_MAX
        found = Scaled(f"{out}.wide", at_least(scale * 2.0**-WIDE_BITS, least, group))
        return self.means(found, out), WIDE_MAX

    def narrow(self, out: str, x: Scaled) -> Scaled:
        """A value from `before_products` in 8 bits."""
        return x if x.name == out else self.rescale(out, x, low=-WIDE_MAX)

    def rescale(self, out: str, x: Scaled, low: int) -> Scaled:
        """A value of 16 bits in 8 bits.  Each row has its own shift."""
        exponent = f"{out}.exponent"
        self.add(Rescale(x=x.name, low=low, out=out, exponent=exponent))
        return Scaled(out, x.scale, exponent=exponent)

    # Changes of basis.

    def centre(self, name: str, heads: tuple[int, int] = (1, 1)) -> Float32:
        """Subtract the middle between the least and the largest value of each channel.

        The result is the middle [features].  With `heads` = (groups, heads of a group), equal
        channels of the heads of a group have one middle.
        """
        below, above = self.observed.extremes(name)
        high = above.reshape(*heads, -1).max(axis=1, keepdims=True)
        low = below.reshape(*heads, -1).min(axis=1, keepdims=True)
        middle = (high + low) * np.float32(0.5)
        centre: Float32 = middle.repeat(heads[1], axis=1).ravel()
        self.observed.rows[name] = self.observed.rows[name] - centre
        return centre

    def hand_on(self, name: str, constant: Float32) -> None:
        """Let all operations that read a value add the constant that the value now lacks."""
        for operation in self.consumers[name]:
            operation.absorb(self, name, constant)

    def can_hand_on(self, name: str) -> bool:
        """Whether all operations that read a value can take up a constant."""
        consumers = self.consumers[name]
        return bool(consumers) and all(one.absorbs(self, name) for one in consumers)

    def add_bias(self, name: str, constant: Float32) -> None:
        """Add a constant to the bias of a product or norm."""
        bias = self.model.tensors.get(f"{name}.bias")
        self.model.tensors[f"{name}.bias"] = constant if bias is None else bias + constant


def one_if_equal(x: Float64) -> Float64:
    """[1] instead of [n] where all are the same: per tensor instead of per channel."""
    return x[:1] if np.all(x == x[0]) else x


def whole(number: float, shift: int = 0) -> int:
    """round(number * 2^shift), which must fit in 32 bits."""
    return int(fixed_point(np.array(number), shift))
