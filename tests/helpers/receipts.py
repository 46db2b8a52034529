"""The JSON Schema of a line of a receipt: `python -m tests.helpers.receipts` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from int8ref.commands.receipt import SealedEnd, SealedHeader, SealedRecord

PATH = Path(__file__).parents[2] / "docs" / "receipt.schema.json"
KINDS = (SealedHeader, SealedRecord, SealedEnd)


def made() -> dict[str, Any]:
    """Return the schema: a line is a header, a record, or an end."""
    references, definitions = msgspec.json.schema_components(KINDS, ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a receipt of int8ref",
        "oneOf": list(references),
        "$defs": definitions,
    }


if __name__ == "__main__":
    text = msgspec.json.format(msgspec.json.encode(made()), indent=1)
    PATH.write_bytes(text + b"\n")
