"""The files that describe a folder of vectors: their fields, JSON Schemas, and plain text."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from int8ref.golden.vectors import FORM

Number = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
CaseFolder = Annotated[str, msgspec.Meta(pattern="^[0-9]{5,9}-[a-z0-9_.]{1,64}$")]
ArrayFile = Annotated[
    str, msgspec.Meta(pattern=r"^([A-Za-z0-9_]{1,64}|\.\./model/[0-9]{5,9})\.bin$")
]


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An array: its name, its raw file (the text for $readmemh ends with .hex), type and shape."""

    name: str
    file: ArrayFile
    dtype: Literal["int8", "int16", "int32", "int64"]
    shape: Annotated[list[Number], msgspec.Meta(max_length=8)]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The name of a corner case, and the fault that it is meant for."""

    name: str
    reason: str


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`desc.json`: one operation, its constants, and the files of its arrays.

    sequence       encoder, decoder, corner (a corner case of an operation) or primitive (of a
                   primitive)
    step           the step of the decoder, else null
    constants      by field: an integer, or null for an absent operand
    operands, results, intermediates
                   by field, or by symbol of the formula
    """

    op: str
    sequence: Literal["encoder", "decoder", "corner", "primitive"]
    step: Number | None
    case: Case | None
    constants: dict[str, int | None]
    operands: dict[str, Stored]
    results: dict[str, Stored]
    intermediates: dict[str, Stored]


class Sentence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence of the batch: its text, and token ids."""

    text: str
    source: list[int]
    target: list[int]


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`index.json`: where the vectors come from, and the folders of the cases in order."""

    form: Literal[2]
    arithmetic: Number
    model: str | None
    sha256: Digest | None
    sentences: list[Sentence]
    cases: list[CaseFolder]


def schemas() -> dict[str, dict[str, Any]]:
    """Return file name -> JSON Schema (draft 2020-12) of the JSON files of a folder."""
    kinds: dict[str, Any] = {"desc.schema.json": Description, "index.schema.json": Index}
    return {name: msgspec.json.schema(kind) for name, kind in kinds.items()}


def lines(told: Description) -> str:
    """Return `desc.txt`: the description as words, for readers without JSON.

    The first word of a line says what follows: op NAME; constant FIELD NUMBER, without a line for
    an absent operand; operand, result or intermediate, then FIELD FILE DTYPE and the shape.
    """
    found = [f"op {told.op}"]
    found += [f"constant {k} {x}" for k, x in told.constants.items() if x is not None]
    for kind, arrays in (
        ("operand", told.operands),
        ("result", told.results),
        ("intermediate", told.intermediates),
    ):
        found += [
            " ".join([kind, field, array.file, array.dtype, *map(str, array.shape)])
            for field, array in arrays.items()
        ]
    return "\n".join([*found, ""])


assert FORM == 2  # `Index.form`
