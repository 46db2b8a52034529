"""Which operations, optional operands and forms of Programs a run of the fuzzer has drawn.

The lists come from the declarations, so that a new operation or a new optional operand is missing
here until the fuzzer draws it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from int8ref.program.program import Program
from int8ref.reference import instructions

UNDRAWN = {"program.languages"}
"""Fields that no engine reads: a direction becomes a frame and a prefix before a search."""
FORMS = ("an encoder alone", "a decoder alone", "an encoder and a decoder")


class Coverage:
    """Counts what Programs contain."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def add(self, program: Program) -> None:
        """Count the contents of a Program."""
        self._seen[_form(program)] += 1
        self._seen.update(f"program.{told}" for told in _choices(program))
        for instruction in (*program.encoder, *program.decoder):
            self._seen[instruction.op] += 1
            self._seen.update(f"{instruction.op}.{told}" for told in _choices(instruction))

    @property
    def operations(self) -> list[str]:
        """The operations of all Programs."""
        return sorted(self._seen.keys() & instructions().keys())

    @property
    def missing(self) -> list[str]:
        """The operations, the operands and the forms that no Program had."""
        return sorted({*_wanted()} - self._seen.keys())


def _wanted() -> Iterator[str]:
    yield from FORMS
    yield from instructions()
    for name, record in [("program", Program), *instructions().items()]:
        for field in msgspec.structs.fields(record):
            if field.default is not msgspec.NODEFAULT and f"{name}.{field.name}" not in UNDRAWN:
                yield f"{name}.{field.name}"
                if field.default is None or field.default is msgspec.UNSET:
                    yield f"{name}.{field.name} absent"


def _choices(record: Any) -> Iterator[str]:
    """The optional fields that differ from their default, and the fields that are absent."""
    for field in msgspec.structs.fields(type(record)):
        content = getattr(record, field.name)
        if field.default is msgspec.NODEFAULT or content != field.default:
            yield field.name
        elif content is None or content is msgspec.UNSET:
            yield f"{field.name} absent"


def _form(program: Program) -> str:
    if program.encodes:
        return FORMS[0]
    return FORMS[2] if program.encoder else FORMS[1]
