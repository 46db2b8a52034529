"""How the rows of a history lie in memory: in pieces, one for each head that reads them.

A step of attention reads the keys of one head after the other.  If the keys of a head follow each
other, the CPU reads memory in order, at its full rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from int8ref.program.program import Program
from int8ref.reference.attention import Attention
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import ValueType


def pitches(program: Program, types: dict[str, ValueType]) -> dict[str, int]:
    """The columns of a piece of each history, by the names of states and successors."""
    readers = [i for i in program.decoder if isinstance(i, Attention)]
    found: dict[str, int] = {}
    for state in program.states:
        if state.domain == "history":
            names = state.value, state.next_value
            found |= dict.fromkeys(names, pitch_of(names, types[state.value].width, readers))
    return found


def pitch_of(names: Iterable[str], width: int, readers: Iterable[Instruction]) -> int:
    """The columns of a piece of one history: the width of a head, if all heads of all attentions
    that read the history lie in pieces of this width; else the width of the history."""
    heads = set(_heads(set(names), width, readers))
    return heads.pop() if len(heads) == 1 else width


def _heads(names: set[str], width: int, readers: Iterable[Instruction]) -> Iterator[int]:
    for reader in readers:
        if isinstance(reader, Attention) and reader.sentence is None:
            for name, column in (
                (reader.key, reader.key_column),
                (reader.value, reader.value_column),
            ):
                if name in names:
                    size = reader.head_width
                    yield width if column % size or width % size else size
