"""`program.txt`: a flat model as lines of words and numbers."""

from __future__ import annotations

from collections.abc import Iterator

from int8ref.flat.layout import Layout
from int8ref.program.program import Program
from int8ref.spec import arithmetic
from int8ref.spec.instruction import Instruction

FORM = 1
"""Version of the form of a flat model."""
BITS = {"int8": 8, "int16": 16, "int32": 32}


def text_of(layout: Layout, program: Program, sha256: str) -> str:
    """Return the text.  `sha256`: digest of the model file."""
    return "\n".join([*_lines(layout, program, sha256), ""])


def _lines(layout: Layout, program: Program, sha256: str) -> Iterator[str]:
    yield f"int8ref-export {FORM}"
    yield f"arithmetic {arithmetic.VERSION}"
    yield f"name {layout.name}"
    yield f"sha256 {sha256}"
    for word, numbers in layout.numbers.items():
        yield from (f"{word} {number}" for number in numbers)
    for number, place in enumerate(layout.arrays):
        rows, columns = place.shape
        told = f"array {place.bits} {rows} 1 {columns} {place.offset}"
        yield f"{told} # @{number} {_comment(place.name)}"
    for number, (name, kind) in enumerate(layout.values.items()):
        told = f"value {BITS[kind.dtype]} {max(kind.width, 1)}"
        yield f"{told} # ${number} {kind.domain} {_comment(name)}"
    for state in program.states:
        pair = f"{layout.value(state.value)} {layout.value(state.next_value)}"
        yield f"state {pair} {int(state.domain == 'history')}"
    arrays = {place.name: number for number, place in enumerate(layout.arrays)}
    values = {name: number for number, name in enumerate(layout.values)}
    for sequence, instructions in layout.sequences.items():
        yield from (f"{sequence} {_words(i, arrays, values)}" for i in instructions)


def _words(instruction: Instruction, arrays: dict[str, int], values: dict[str, int]) -> str:
    """An instruction: its operation, and its fields without the absent ones."""
    found = [instruction.op]
    for field, kind, content in instruction.operands():
        if content is None:
            continue
        if kind == "constant":
            found.append(f"{field}={content}")
        elif kind == "tensor":
            found.append(f"{field}=@{arrays[content]}")
        else:
            found.append(f"{field}=${values[content]}")
    return " ".join(found)


def _comment(name: str) -> str:
    """A name from a file, which may hold any character, on one line and in ASCII."""
    return name.encode("unicode_escape").decode("ascii")
