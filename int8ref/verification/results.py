"""Compares somebody's results with golden vectors, and names the first difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.corners import PREFIX, record_corners
from int8ref.errors import UserError
from int8ref.files.model_file import Model
from int8ref.golden.vectors import FORM, Vectors
from int8ref.spec import arithmetic
from int8ref.translation.recording import record
from int8ref.verification.difference import DifferenceError, differences
from int8ref.verification.dumps import MAX_SENTENCES, PARTS, Dump, Record
from int8ref.verification.sentences import Languages
from int8ref.verification.walk import described

Array = npt.NDArray[Any]
Golden = Callable[[bool], Vectors]
"""Computes the golden vectors, with intermediate values or without."""
SHOWN = 12
"""Number of elements of a row that a message shows."""


def golden_of(dump: Dump, model: Model | None, languages: Languages) -> Golden:
    """Return what computes the golden vectors of a dump.  `model`: None for corner cases."""
    told = dump.told
    if told.form != FORM:
        raise UserError(f"the dump has the form {told.form}: this int8ref compares form {FORM}")
    if told.arithmetic != arithmetic.VERSION:
        versions = f"arithmetic {told.arithmetic}, and this int8ref has {arithmetic.VERSION}"
        raise DifferenceError(f"the dump is of {versions}")
    if len(told.sentences) > MAX_SENTENCES:
        raise UserError(f"the dump has {len(told.sentences)} sentences, over {MAX_SENTENCES}")
    records = [record for _, record in dump.records()]
    ops = list(dict.fromkeys(record.op for record in records))
    if model is None:
        wanted = None if any(op.startswith(PREFIX) for op in ops) else ops
        return lambda inside: record_corners(wanted, inside)
    texts = [sentence.text for sentence in told.sentences]
    if not texts:
        raise UserError("the dump has no sentences")
    steps = 1 + max((r.step for r in records if r.step is not None), default=-1)
    return lambda inside: record(
        model, texts, steps or None, ops, languages=languages, intermediates=inside
    )


def compare(dump: Dump, golden: Golden) -> Iterator[str]:
    """Compare a dump with golden vectors.  Yields the lines of the answer.

    Raises `DifferenceError` for the first difference in the order of computation, after the lines
    that describe its row.
    """
    first = next(dump.records(), None)
    inside = first is not None and any(r.intermediates for _, r in dump.records())
    wanted = golden(inside)
    _compare_sources(dump, wanted)
    count = values = 0
    for count, (place, found) in enumerate(dump.records(), start=1):
        if count > len(wanted.records):
            raise DifferenceError(f"{place}: the golden vectors end before it")
        right = wanted.records[count - 1]
        _compare_told(place, found, right)
        for part in PARTS:
            for field, name in right[part].items():
                expected = wanted.arrays[name]
                where = _where(place, right, part, field)
                for array in dump.arrays(count - 1, part, field, expected):
                    values += expected.size
                    if isinstance(array, str):
                        raise DifferenceError(f"{where}: {array}")
                    if told := described(array, expected):
                        yield from _row(golden, count - 1, part, field, array)
                        raise DifferenceError(f"{where}, {told}")
    if count < len(wanted.records):
        raise DifferenceError(f"the dump ends after {count} of {len(wanted.records)} operations")
    for number, (theirs, ours) in enumerate(
        zip(dump.told.sentences, wanted.sentences, strict=True)
    ):
        if theirs.target != ours.target:
            told = f"got {theirs.target}, expected {ours.target}"
            raise DifferenceError(f"target of sentence {number}: {told}")
    yield f"accepted: {count} operations, {values} values"


def _compare_sources(dump: Dump, wanted: Vectors) -> None:
    pairs = zip(dump.told.sentences, wanted.sentences, strict=True)
    for number, (theirs, ours) in enumerate(pairs):
        if theirs.source != ours.source:
            told = f"got {theirs.source}, expected {ours.source}"
            raise DifferenceError(f"source of sentence {number}: {told}")


def _compare_told(place: str, found: Record, right: dict[str, Any]) -> None:
    """Compare the operation, its constants, and the names of its arrays."""
    for path, wrong, expected in differences(msgspec.to_builtins(found), right):
        told = " ".join(map(str, path))
        raise DifferenceError(f"{place}, {right['op']}, {told}: got {wrong}, expected {expected}")


def _where(place: str, right: dict[str, Any], part: str, field: str) -> str:
    step = "" if right["step"] is None else f" step {right['step']}"
    case = "" if right["case"] is None else f" {right['case']['name']}"
    return f"{place}, {right['op']}, {right['sequence']}{step}{case}, {part[:-1]} {field}"


def _row(golden: Golden, number: int, part: str, field: str, array: Array) -> Iterator[str]:
    """Describe the operands and the intermediate values of the row of a difference."""
    wanted = golden(True)
    right = wanted.records[number]
    expected = wanted.arrays[right[part][field]]
    place = tuple(np.argwhere(array != expected)[0].tolist())
    if part != "operands":
        for kind in ("operands", "intermediates"):
            for name, key in right[kind].items():
                told = _near(wanted.arrays[key], place, expected)
                if told:
                    yield f"{kind[:-1]} {name}{told}"


def _near(other: Array, place: tuple[int, ...], result: Array) -> str:
    """Show the elements of an array that belong to the place of an element of a result."""
    if other.shape == result.shape and len(place) > 1:
        return f" {list(place)}: {other[place]}; row {place[0]}: {_shown(other[place[0]])}"
    if other.size == 1:
        return f": {other.reshape(-1)[0]}"
    index = None
    if place and other.ndim and len(other) == len(result):
        index = place[0]
    elif place and other.ndim and len(other) == result.shape[-1]:
        index = place[-1]
    if index is None:
        return ""
    return f" [{index}]: {_shown(other[index])}"


def _shown(row: Array) -> str:
    numbers = np.reshape(row, -1).tolist()
    rest = f" ... ({len(numbers)} numbers)" if len(numbers) > SHOWN else ""
    return " ".join(map(str, numbers[:SHOWN])) + rest
