"""Integer values beside float values: their meaning in floats, and the instructions of a unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from int8ref.engines.engine import Engine
from int8ref.engines.reference import run_instruction
from int8ref.program.inputs import Values, first_states, source_inputs
from int8ref.program.program import Program, Tensors, takes_source
from int8ref.reference.append import Append
from int8ref.reference.linear import Linear
from int8ref.reference.ssru import Ssru
from int8ref.spec.arithmetic import requantize
from int8ref.spec.instruction import Instruction
from weights_import.lowering.meaning import Meaning
from weights_import.report.floats import Part
from weights_import.report.units import Twins, Unit
from weights_import.tensors import Float32, Float64

EXACT_DEPTH = 1024
"""The most products of two int8 whose sum has 24 bits."""
LIMITS = {"int8": 127, "int16": 32767, "int32": 2**31 - 1}


def exact(x: Float32, meaning: Meaning) -> Float64:
    """The numbers that integers of this meaning would be without rounding and limits."""
    found: Float64 = x / meaning.scaled.scale + meaning.scaled.zero
    return found


def rounded(x: Float32, meaning: Meaning, dtype: np.dtype) -> NDArray[np.integer]:
    """The nearest integers within the limits of a type."""
    limit = LIMITS[dtype.name]
    return np.clip(np.rint(exact(x, meaning)), -limit, limit).astype(dtype)


def reals(values: Values, name: str, meaning: Meaning) -> Float32:
    """The float numbers that the integers of a value stand for."""
    scaled = meaning.scaled
    found = (values[name].astype(np.float64) - scaled.zero) * scaled.scale
    if scaled.exponent:
        found = np.ldexp(found, values[scaled.exponent].astype(np.int64)[:, None])
    if scaled.bias is not None:
        found = found + scaled.bias
    return found.astype(np.float32)


def run_quickly(instruction: Instruction, values: Values, tensors: Tensors) -> Values:
    """The results of one instruction, equal to the results of the reference.

    A product of BLAS replaces the integer product, because its numbers are whole and below 2^24 in
    float32, or below 2^53 in float64: no addition rounds.
    """
    if not isinstance(instruction, Linear):
        return run_instruction(instruction, values, tensors)
    weight = tensors[instruction.weight]
    kind = np.float32 if weight.shape[1] <= EXACT_DEPTH else np.float64
    product: NDArray[Any] = np.matmul(values[instruction.x].astype(kind), weight.astype(kind).T)
    bias = tensors[instruction.bias].astype(np.int64) << instruction.bias_shift
    sums = product.astype(np.int64) + bias
    if instruction.shift is None:
        return {instruction.out: sums.astype(np.int32)}
    multiplier = 1 if instruction.multiplier is None else tensors[instruction.multiplier]
    limits = instruction.low, instruction.high
    data = requantize(sums, multiplier, tensors[instruction.shift], *limits)
    return {instruction.out: data.astype(np.int8)}


class Integers:
    """The integer side of a lowered model.

    program, tensors   the Program and its tensors
    types              name of a value -> the type of its integers
    """

    def __init__(self, program: Program, tensors: Tensors, engine: Engine, twins: Twins) -> None:
        self.program, self.tensors, self.engine, self.twins = program, tensors, engine, twins
        self.types: dict[str, np.dtype] = {}

    def accumulated(self, part: Part) -> Values:
        """Every value of the Program in integers, its rows in the order of the float rows."""
        wanted = set(self.twins.meanings) | {
            meaning.scaled.exponent for meaning in self.twins.meanings.values()
        }
        found: Values = {}
        seen: Values = {}
        session = self.engine.session([list(ids) for ids in part.sources], seen.__setitem__)
        found |= {name: seen[name].copy() for name in seen if name in wanted}
        for rows, tokens, going in steps(part):
            seen.clear()
            if going is not None:
                session.select(going)
            session.step(tokens)
            for name in wanted & seen.keys():
                place(found, name, rows, seen[name], len(part.target.ids))
        self.types |= {name: x.dtype for name, x in found.items()}
        return found

    def inputs(self, unit: Unit, floats: dict[str, Float32]) -> tuple[Values, dict[str, Float32]]:
        """What a unit reads: float values rounded to integers, and the floats of these."""
        integers: Values = {}
        found: dict[str, Float32] = {}
        for name in unit.reads:
            meaning = self.twins.meanings[name]
            x = meaning.columns(floats)
            if meaning.scaled.exponent and name in self.twins.rescales:
                rescale = self.twins.rescales[name]
                wide = {rescale.x: rounded(x, meaning, np.dtype("int16"))}
                integers |= run_instruction(rescale, wide, self.tensors)
            else:
                integers[name] = rounded(x, meaning, self.types[name])
            found[name] = reals(integers, name, meaning)
        return integers, found

    def alone(self, unit: Unit, part: Part, values: Values) -> Values:
        """The results of a unit for given integers, by the reference."""
        if any(isinstance(one, Append | Ssru) for one in unit.instructions):
            return self._stepped(unit, part, values)
        sources = [list(ids) for ids in part.sources]
        values = values | source_inputs(sources, takes_source(self.program))
        if not unit.encoder:
            values |= target_rows(part)
        made: Values = {}
        for instruction in unit.instructions:
            made |= run_quickly(instruction, values | made, self.tensors)
        return made

    def _stepped(self, unit: Unit, part: Part, values: Values) -> Values:
        """The same for a unit with states, one position after another."""
        rows_of = values | target_rows(part)
        own = {name for one in unit.instructions for name in one.names("result")}
        states = [state for state in self.program.states if state.next_value in own]
        kept = first_states(self.program, len(part.targets))
        found: Values = {}
        for rows, _, going in steps(part):
            if going is not None:
                kept = {state.value: kept[state.value][going] for state in states}
            step = {name: x[rows] for name, x in rows_of.items()}
            step |= {state.value: kept[state.value] for state in states}
            for instruction in unit.instructions:
                step |= run_quickly(instruction, step, self.tensors)
            kept = {state.value: step[state.next_value] for state in states}
            for name in own - {state.next_value for state in states}:
                place(found, name, rows, step[name], len(part.target.ids))
        return found


def target_rows(part: Part) -> Values:
    """The inputs of the decoder for all rows at once."""
    lengths = np.diff(part.target.offsets)
    sentence = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    return {
        "target.ids": part.target.ids.astype(np.int32),
        "target.positions": part.target.positions.astype(np.int32),
        "target.sentence": sentence,
    }


def steps(
    part: Part,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64] | None]]:
    """The steps of a decoder over given targets.

    Yields the rows of a step, their tokens, and the places of these sentences among the sentences
    of the step before, or None if all go on.
    """
    offsets = part.target.offsets
    lengths = np.diff(offsets)
    alive = np.arange(len(lengths))
    for t in range(int(lengths.max(initial=0))):
        going = np.flatnonzero(lengths[alive] > t)
        changed = len(going) < len(alive)
        alive = alive[going]
        rows = offsets[alive] + t
        yield rows, part.target.ids[rows].astype(np.int32), going if changed else None


def place(
    found: Values, name: str, rows: NDArray[np.int64], x: NDArray[np.generic], count: int
) -> None:
    """Put the rows of a step where the rows of the float values are."""
    if name not in found:
        found[name] = np.zeros((count, *x.shape[1:]), x.dtype)
    found[name][rows] = x
