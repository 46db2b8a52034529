"""The sizes of a Program: its vocabulary, its positions, its longest translation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Union

from int8ref.reference import instructions
from int8ref.reference.attention import MAX_KEYS
from int8ref.reference.embed import Embed
from int8ref.reference.pool import MAX_ROWS, Pool
from int8ref.reference.rotary import Rotary
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Tensors as Tensors

if TYPE_CHECKING:
    AnyInstruction = Instruction
else:
    AnyInstruction = Union[tuple(instructions().values())]  # noqa: UP007 - known at run time only
from int8ref.program.program import Program, takes_source

Side = Literal["source", "target"]
USUAL_STEPS = 1024
"""Largest number of decoder steps of a Program with histories that names no other number."""


def _embeds(program: Program, side: Side) -> list[Embed]:
    """The instructions that look up the token ids of a side."""
    both = (*program.encoder, *program.decoder)
    return [i for i in both if isinstance(i, Embed) and i.ids == f"{side}.ids"]


def embedding_sizes(program: Program, tensors: Tensors, side: Side) -> list[int]:
    """The number of token ids in the table of each instruction that looks up ids of a side."""
    return [len(tensors[i.table]) for i in _embeds(program, side)]


def position_limits(program: Program, tensors: Tensors, side: Side) -> list[int]:
    """The number of positions of each instruction that reads the positions of a side."""
    embeds, both = _embeds(program, side), (*program.encoder, *program.decoder)
    tables = [i.position_table for i in embeds if i.position_table is not None]
    turned = (i for i in both if isinstance(i, Rotary) and i.positions == f"{side}.positions")
    tables += [i.cosine for i in turned]
    made = [i.max_positions for i in embeds if i.wave is not None]
    return [len(tensors[name]) for name in tables] + made


def max_steps(program: Program, tensors: Tensors) -> int:
    """Largest number of decoder steps, by the positions and by `Program.max_steps`."""
    limits = position_limits(program, tensors, "target")
    if isinstance(program.max_steps, int):
        return min([*limits, program.max_steps])
    limited = not limits or any(state.domain == "history" for state in program.states)
    return min(limits + [USUAL_STEPS] * limited)


def most_source_rows(program: Program) -> int:
    """Largest number of tokens of a source that the operations allow."""
    both = (*program.encoder, *program.decoder)
    return MAX_ROWS if any(isinstance(i, Pool) for i in both) else MAX_KEYS


def most_source_length(program: Program) -> int:
    """Largest number of tokens of a source that an engine takes."""
    return max(program.max_source_length, USUAL_STEPS)


def most_keys(program: Program, tensors: Tensors) -> int:
    """Largest number of keys that a row of any attention sees."""
    steps = 0 if program.encodes else max_steps(program, tensors)
    return max(program.max_source_length, min(steps, MAX_KEYS))


def max_target_length(program: Program, tensors: Tensors, source_length: int) -> int:
    """Largest number of tokens in a translation of `source_length` tokens (with their frame).

    floor(source_length * max_length_factor / 100), at least 1 and at most `max_steps`.  Without a
    source it is `max_steps`.
    """
    most = max_steps(program, tensors)
    if not takes_source(program):
        return most
    return longest_translation(source_length, program.max_length_factor, most)


def longest_translation(source_length: int, factor: int, most: int) -> int:
    """floor(source_length * factor / 100), at least 1, at most `most`."""
    return max(1, min(source_length * factor // 100, most))


def vocabulary_size(program: Program, tensors: Tensors) -> int:
    """The number of logits, from the last instruction of the decoder.

    For an encoder alone, the number of token ids of the source.
    """
    if program.encodes:
        return min(embedding_sizes(program, tensors, "source"))
    return len(tensors[program.decoder[-1].names("tensor")[0]])
