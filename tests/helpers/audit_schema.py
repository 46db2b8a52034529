"""`python -m tests.helpers.audit_schema`: writes the JSON Schema of audits to the pages."""

from __future__ import annotations

from pathlib import Path

from int8ref.auditing.document import schema

if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "audit.schema.json").write_bytes(schema())
