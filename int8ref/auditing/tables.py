"""The tables of an audit, as columns and rows that every form prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from int8ref.auditing.document import Audit, Register, Row, Value

Cell = int | str | None
"""A number, a text, or nothing."""


@dataclass(frozen=True)
class Table:
    """A table: its title, an explanation, the heads of its columns, and its rows."""

    title: str
    about: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def tables(audit: Audit) -> list[Table]:
    """All tables of an audit."""
    seen = audit.text_lines is not None
    found = [_totals(audit), _memory(audit), _registers(audit, seen), _costs(audit, seen)]
    return [*found, _saturation(audit)] if seen else found


def _totals(audit: Audit) -> Table:
    return Table(
        "In all",
        "For one row: a token of a source in the encoder, a step of a hypothesis in the decoder and"
        " in the search. Attention multiplies more for each key that a row sees.",
        ("sequence", "instructions", "multiplications", "more for each key", "bytes read of"
         " tensors", "bytes of results", "widest accumulator, bits"),
        [
            (t.sequence, t.instructions, t.multiplications, t.multiplications_each_key,
             t.read_bytes, t.result_bytes, t.largest_accumulator_bits)
            for t in audit.totals
        ],
    )  # fmt: skip


def _memory(audit: Audit) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("all tensors", f"{audit.parameters} elements", audit.tensor_bytes)
    ]
    for state in audit.states:
        kind = "history, for each step" if state.history else "state"
        rows.append((state.name, f"{kind}, {state.dtype} [{state.width}]", state.bytes))
    per_step = sum(state.bytes for state in audit.states if state.history)
    rows.append(("histories of the longest hypothesis", f"{audit.history_keys} steps",
                 per_step * audit.history_keys))  # fmt: skip
    rows.append(("states without histories", "for each hypothesis",
                 sum(state.bytes for state in audit.states if not state.history)))  # fmt: skip
    return Table("Memory", "Tensors of the file, and states of one hypothesis.",
                 ("what", "form", "bytes"), rows)  # fmt: skip


def _named(audit: Audit) -> Iterator[tuple[str, Row]]:
    for row in audit.instructions:
        yield f"{row.sequence} {row.number}", row


def _registers(audit: Audit, seen: bool) -> Table:
    heads = ["instruction", "operation", "register", "least", "greatest", "bits"]
    heads += ["bits seen", "least seen", "greatest seen"] if seen else []
    return Table(
        "Bits of registers",
        "The range of each intermediate value, proved from the tensors of this model and from the"
        " ranges of the operands. The names are the names in the formula of the operation. Bits"
        " are two's complement if the least value is negative.",
        heads,
        [
            (where, row.op, *_register(register, seen))
            for where, row in _named(audit)
            for register in row.registers
        ],
    )


def _register(register: Register, seen: bool) -> tuple[Cell, ...]:
    proved = register.name, register.low, register.high, register.bits
    if not seen:
        return proved
    low, high = register.seen or (None, None)
    return (*proved, register.seen_bits, low, high)


def _costs(audit: Audit, seen: bool) -> Table:
    heads = ["instruction", "operation", "multiplications", "more for each key",
             "bytes of tensors", "bytes read", "bytes of results"]  # fmt: skip
    return Table(
        "Multiplications and bytes",
        "For one row of the instruction. A row reads all tensors of its instruction, but only one"
        " row of a table of embeddings or positions.",
        [*heads, *(["rows in the text"] if seen else [])],
        [
            (where, row.op, row.multiplications, row.multiplications_each_key, row.weight_bytes,
             row.read_bytes, row.result_bytes, *([row.rows] if seen else []))
            for where, row in _named(audit)
        ],
    )  # fmt: skip


def _saturation(audit: Audit) -> Table:
    return Table(
        "Results at the ends of their range",
        "How many of a million elements in the text are the lowest and the highest number that the"
        " result can hold. A result with the least value 0 is at 0 by its ReLU.",
        ("instruction", "operation", "result", "type", "least", "greatest", "elements",
         "at the least, of 10^6", "at the greatest, of 10^6"),
        [
            (where, row.op, value.name, f"{value.dtype} [{value.domain}, {value.width}]",
             value.low, value.high, value.elements, value.at_low, value.at_high)
            for where, row, value in _saturating(audit)
        ],
    )  # fmt: skip


def _saturating(audit: Audit) -> Iterator[tuple[str, Row, Value]]:
    for where, row in _named(audit):
        for value in row.results:
            if value.elements is not None:
                yield where, row, value


def facts(audit: Audit) -> list[tuple[str, str]]:
    """The facts about the model, the text and the native code: (name, content)."""
    found = [
        ("model", audit.model),
        ("SHA-256", audit.sha256),
        ("arithmetic", f"version {audit.arithmetic}"),
        ("most keys", f"{audit.source_keys} of a source, {audit.history_keys} of a history"),
        ("text", "none" if audit.text_lines is None else f"{audit.text_lines} lines"),
    ]
    machine = audit.machine
    if machine is not None:
        told = ", ".join(machine.floating) or "none"
        found += [
            ("native code", f"{machine.instructions} instructions for {machine.processor}"),
            ("its SHA-256", machine.code_sha256),
            ("floating-point instructions", told),
        ]
    return found
