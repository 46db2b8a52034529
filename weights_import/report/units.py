"""Units: a float operation beside the integer instructions that do its work.

A unit reads values of other units and makes values that other units read.  Between two units, each
value has a meaning in floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from int8ref.reference.rescale import Rescale
from int8ref.spec.instruction import Instruction
from weights_import.float_program import FloatProgram, Operation
from weights_import.lower import Lowered
from weights_import.lowering.meaning import Meaning
from weights_import.report.turn import turned_name, with_turns


@dataclass(frozen=True)
class Unit:
    """An operation in floats and in integers.

    name          the float operation whose lowering emitted the instructions
    encoder       whether it is a part of the encoder
    instructions  in the order of the Program; empty for an operation without integers, a soft cap
    operations    the float operations between `reads` and `makes`
    reads         names of values of the Program that other units make
    makes         names of values of the Program that have a meaning
    outputs       the names in `makes` that other units read, or that the model gives
    """

    name: str
    encoder: bool
    instructions: tuple[Instruction, ...]
    operations: tuple[Operation, ...]
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    outputs: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[str, ...]:
        """The float values that its operations make, in order."""
        return tuple(operation.out for operation in self.operations)

    @property
    def read(self) -> tuple[str, ...]:
        """The float values that it reads from other units."""
        own = set(self.made)
        names = (name for operation in self.operations for name in operation.inputs)
        return tuple(dict.fromkeys(name for name in names if name not in own))


@dataclass(frozen=True)
class Twins:
    """A lowered model as units, in the order of the float program.

    program   the float program, with rotary positions as operations of their own
    meanings  the meanings of the values of the Program, in the names of this float program
    rescales  value of the Program -> the instruction that gave each of its rows a shift
    """

    program: FloatProgram
    units: tuple[Unit, ...]
    meanings: dict[str, Meaning]
    rescales: dict[str, Rescale]

    @classmethod
    def of(cls, lowered: Lowered) -> Twins:
        program = with_turns(lowered.model.program)
        known = program.producers()
        meanings = {
            name: replace(meaning, floats=_names(meaning, known))
            for name, meaning in lowered.meanings.of.items()
        }
        every = [*lowered.program.encoder, *lowered.program.decoder]
        rescales = {one.out: one for one in every if isinstance(one, Rescale)}
        units = tuple(_units(lowered, program, meanings))
        return cls(program, units, meanings, rescales)

    def form(self, operation: Operation | None, forms: Iterable[str]) -> str:
        """The form that a float operation reads, of the forms of a float value in integers.

        A product reads 8 bits.  All others read the form with the finest scale.
        """
        product = operation is not None and hasattr(operation, "name")
        choose = max if product else min
        return choose(forms, key=lambda name: float(self.meanings[name].scaled.scale.max()))


def _names(meaning: Meaning, known: dict[str, Operation]) -> tuple[str, ...]:
    if not meaning.turned:
        return meaning.floats
    return tuple(turned_name(n) if turned_name(n) in known else n for n in meaning.floats)


def _units(lowered: Lowered, program: FloatProgram, meanings: dict[str, Meaning]) -> Iterator[Unit]:
    """The units in the order of their last float operations."""
    order = {operation.out: i for i, operation in enumerate(program.operations)}
    found = [*_lowered_units(lowered, program, meanings)]
    wanted = {name for unit in found for name in unit.reads}
    wanted |= {lowered.program.logits, lowered.program.output or ""}
    found = [replace(one, outputs=tuple(n for n in one.makes if n in wanted)) for one in found]
    covered = {name for unit in found for name in unit.made}
    encoder = {operation.out for operation in program.encoder}
    found += [
        Unit(one.out, one.out in encoder, (), (one,), (), ())
        for one in program.operations
        if one.out not in covered
    ]
    yield from sorted(found, key=lambda unit: order[unit.made[-1]])


def _lowered_units(
    lowered: Lowered, program: FloatProgram, meanings: dict[str, Meaning]
) -> Iterator[Unit]:
    owners, groups = lowered.meanings.owners, dict[str, list[Instruction]]()
    for one in (*lowered.program.encoder, *lowered.program.decoder):
        groups.setdefault(owners[one.names("result")[0]], []).append(one)
    in_encoder = {one.names("result")[0] for one in lowered.program.encoder}
    for owner, instructions in groups.items():
        own = [name for one in instructions for name in one.names("result")]
        read = dict.fromkeys(name for one in instructions for name in one.names("value"))
        reads = tuple(name for name in read if name in meanings and name not in own)
        makes = tuple(name for name in own if name in meanings)
        inputs = {name for value in reads for name in meanings[value].floats}
        made = {name for value in makes for name in meanings[value].floats}
        operations = tuple(_between(program, inputs, made))
        yield Unit(owner, own[0] in in_encoder, tuple(instructions), operations, reads, makes)


def _between(program: FloatProgram, inputs: set[str], made: set[str]) -> list[Operation]:
    """The operations that make values from inputs, in order."""
    producers, wanted, waiting = program.producers(), set[str](), [*made]
    while waiting:
        name = waiting.pop()
        if name not in inputs and name not in wanted:
            wanted.add(name)
            waiting += producers[name].inputs
    return [operation for operation in program.operations if operation.out in wanted]
