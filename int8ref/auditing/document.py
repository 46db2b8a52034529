"""The document of an audit, which the forms print: a table, JSON, a page."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

FORM: Literal[1] = 1
"""Version of the form of the document."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Sequence = Literal["encoder", "decoder", "search"]


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """A number that hardware has in a register, with the name in the formula of its operation.

    low, high    the proved range
    bits         bits of the proved range: two's complement, or without a sign if low is at least 0
    seen         the least and the greatest value in the text; null without a text
    seen_bits    bits of this range, with a sign if the proved range has one; null without a text
    """

    name: str
    low: int
    high: int
    bits: Count
    seen: tuple[int, int] | None = None
    seen_bits: Count | None = None


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A result of an instruction.

    low, high        the proved range
    elements         number of elements in the text; null without a text
    at_low, at_high  how many of a million elements are the lowest and the highest number that the
                     result can hold, rounded half up; null without a text, and for a result that
                     does not saturate
    """

    name: str
    field: str
    domain: str
    dtype: str
    width: Count
    low: int
    high: int
    elements: Count | None = None
    at_low: Count | None = None
    at_high: Count | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An instruction.

    number                    place in its sequence, from 0
    multiplications           multiplications of a row
    multiplications_each_key  more multiplications of a row for each key that it sees
    weight_bytes              bytes of its tensors
    read_bytes                bytes of its tensors that a row reads
    result_bytes              bytes of its results for a row
    rows                      number of rows in the text; null without a text
    """

    sequence: Sequence
    number: Count
    op: str
    multiplications: Count
    multiplications_each_key: Count
    weight_bytes: Count
    read_bytes: Count
    result_bytes: Count
    registers: list[Register]
    results: list[Value]
    rows: Count | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A value that the decoder carries: `bytes` of a hypothesis, for each step if it is a
    history."""

    name: str
    dtype: str
    width: Count
    history: bool
    bytes: Count


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of a sequence for one row: a token of a source, a step of a hypothesis, or a
    sentence."""

    sequence: Sequence
    instructions: Count
    multiplications: Count
    multiplications_each_key: Count
    read_bytes: Count
    result_bytes: Count
    largest_accumulator_bits: Count


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The native code that runs the model, and its floating-point instructions.

    processor     processor for which the code is compiled
    code_sha256   SHA-256 of the code, which the process loads
    instructions  number of instructions that were read
    floating      instructions of floating-point arithmetic and conversions; empty: there is none
    """

    processor: str
    code_sha256: str
    instructions: Count
    floating: list[str]


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """An audit of a model file.

    form           version of this document
    arithmetic     version of the arithmetic
    sha256         SHA-256 of the model file
    text_lines     lines of the text; null without a text
    source_keys    the most keys that a row sees in a source
    history_keys   the most keys that a row sees in its history
    parameters     number of elements of all tensors
    tensor_bytes   bytes of all tensors, each of which counts once
    """

    form: Literal[1] = FORM
    arithmetic: int
    model: str
    sha256: str
    text_lines: Count | None = None
    source_keys: Count
    history_keys: Count
    parameters: Count
    tensor_bytes: Count
    totals: list[Total]
    states: list[State]
    instructions: list[Row]
    machine: Machine | None = None


def encode(audit: Audit) -> bytes:
    """The document as JSON."""
    return msgspec.json.format(msgspec.json.encode(audit), indent=1) + b"\n"


def schema() -> bytes:
    """The JSON Schema of the document (draft 2020-12)."""
    found = msgspec.json.schema(Audit)
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"
