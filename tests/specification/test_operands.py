"""The tables of operands say how a field may be absent, and the reader agrees."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from int8ref.corners import cases_of
from int8ref.reference import instructions
from tests.helpers import specification

FIELDS = [
    (op, field.name) for op, cls in instructions().items() for field in msgspec.structs.fields(cls)
]


def told(op: str, name: str) -> str:
    """Return the column `absent` of an operand."""
    (found,) = (
        row.split(" | ")[-1].rstrip("| ").strip()
        for row in specification.operands(op).splitlines()
        if row.startswith(f"| `{name}` |")
    )
    return found


def reads(op: str, fields: dict[str, Any]) -> Any:
    """Return the instruction that the reader makes of JSON, or None if it refuses the JSON."""
    try:
        return msgspec.json.decode(json.dumps(fields), type=instructions()[op])
    except msgspec.ValidationError:
        return None


@pytest.mark.parametrize(("op", "name"), FIELDS, ids=lambda x: x)
def test_absent_fields_are_read_as_the_table_says(op: str, name: str) -> None:
    whole = json.loads(msgspec.json.encode(cases_of(op)[0].instruction))
    without = reads(op, {field: x for field, x in whole.items() if field != name})
    null = reads(op, whole | {name: None})
    match told(op, name):
        case "":
            assert without is None
            assert null is None
        case "null":
            assert getattr(without, name) is None
            assert getattr(null, name) is None
        case "left out":
            assert getattr(without, name) is msgspec.UNSET
            assert null is None
        case default:
            assert getattr(without, name) == int(default)
            assert null is None
