"""The numbers of a flat model: arrays with their places, values, and the numbers of decoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.program.languages import Direction
from int8ref.program.program import SOURCE_INPUTS, TARGET_INPUTS, Program, takes_source
from int8ref.program.sizes import longest_translation, max_steps
from int8ref.reference.argmax import Argmax
from int8ref.search.length import penalty
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import ValueType

ALIGNMENT = 64
"""Every array begins at a multiple of this number of bytes."""
CHOICE = "search.choice"
"""The value of the chosen tokens.  It is no value of the program."""

Numbers = dict[str, list[int]]


@dataclass(frozen=True)
class Place:
    """An array and its first byte in the file of arrays."""

    name: str
    array: npt.NDArray[Any]
    offset: int

    @property
    def bits(self) -> int:
        """The bits of an element."""
        return 8 * self.array.itemsize

    @property
    def padding(self) -> int:
        """The bytes between the array and the next array."""
        return -self.array.nbytes % ALIGNMENT

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns.  A vector has one column."""
        rows, *columns = self.array.shape
        return rows, columns[0] if columns else 1


@dataclass(frozen=True)
class Layout:
    """A model in numbers.

    arrays     the tensors in the order of the file of arrays
    values     the type of each value by name: first the inputs, then states, then results
    sequences  the instructions by sequence: encoder, decoder, choose, score
    numbers    the numbers of decoding, by their word in the text
    """

    name: str
    arrays: tuple[Place, ...]
    values: dict[str, ValueType]
    sequences: dict[str, list[Instruction]]
    numbers: Numbers

    def value(self, name: str) -> int:
        """The number of a value."""
        return list(self.values).index(name)


def layout(model: Model, direction: Direction) -> Layout:
    """Return the layout of a model, for one pair of languages.

    Raises `UserError` for a tensor of more than two dimensions.
    """
    program = model.program
    values = _values(model)
    return Layout(
        name=model.name,
        arrays=_places(model.tensors),
        values=values,
        sequences=_sequences(program),
        numbers=_numbers(model, direction, {name: at for at, name in enumerate(values)}),
    )


def _places(tensors: Mapping[str, npt.NDArray[Any]]) -> tuple[Place, ...]:
    found: list[Place] = []
    offset = 0
    for name, array in tensors.items():
        if array.ndim not in (1, 2):
            raise UserError(f"tensor {name!r} has {array.ndim} dimensions, not 1 or 2")
        found.append(Place(name, array, offset))
        offset += array.nbytes + found[-1].padding
    return tuple(found)


def _sequences(program: Program) -> dict[str, list[Instruction]]:
    return {
        "encoder": list(program.encoder),
        "decoder": list(program.decoder),
        "choose": [] if program.encodes else [Argmax(x=program.logits, out=CHOICE)],
        "score": [program.softmax] if program.logits else [],
    }


def _values(model: Model) -> dict[str, ValueType]:
    known = model.types.decoder
    found = {name: known[name] for name in (*SOURCE_INPUTS, *TARGET_INPUTS)} | known
    program = model.program
    if program.logits:
        logits = known[program.logits]
        found[program.softmax.out] = logits
        found[CHOICE] = ValueType(logits.domain, "int32", 0)
    return found


def _numbers(model: Model, direction: Direction, places: Mapping[str, int]) -> Numbers:
    """The numbers of decoding.  The number of a value is its place in `places`."""
    program, found = model.program, Numbers()
    if takes_source(program):
        found["max_source"] = [program.max_source_length]
        found["before"] = list(direction.frame.before)
        found["after"] = list(direction.frame.after)
    if program.encodes:
        return found | {"output": [places[str(program.output)]]}
    steps = max_steps(program, model.tensors)
    longest = steps
    if takes_source(program):
        found["factor"] = [program.max_length_factor]
        found["forced"] = list(direction.forced)
        factor = program.max_length_factor
        longest = longest_translation(program.max_source_length, factor, steps)
    found |= {
        "start": [program.start],
        "end": list(program.ends),
        "max_steps": [steps],
        "logits": [places[program.logits]],
        "choice": [places[CHOICE]],
        "log_probability": [places[program.softmax.out]],
    }
    penalties = [penalty("length", program.alpha, n + 1) for n in range(longest)]
    return found | {"penalty": penalties}
