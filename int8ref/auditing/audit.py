"""Makes the audit of a model: proofs, costs, and what a text shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from int8ref.auditing import costs, document
from int8ref.auditing.intervals import Interval, bits
from int8ref.auditing.proofs import Proved
from int8ref.auditing.seen import Ends, Place, Range, Watch
from int8ref.engines.backends import Backend
from int8ref.files.model_file import Model
from int8ref.program.program import Program
from int8ref.program.sizes import max_steps
from int8ref.program.validate import Checked, validate
from int8ref.reference.attention import MAX_KEYS
from int8ref.reference.linear import Linear
from int8ref.spec.arithmetic import DATA_MAX, VERSION, WIDE_MAX
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import ValueType
from int8ref.translation.recording import record

MILLION = 10**6
BATCH = 16
"""Lines of the text that are read together."""
LARGEST = {"int8": DATA_MAX, "int16": WIDE_MAX}
SATURATING = {
    "embed", "layer_norm_l1", "layer_norm_l2", "narrow", "normalize", "rescale", "rms_norm",
    "rms_norm_branch", "rms_norm_heads", "rotary",
}  # fmt: skip
"""Operations without a limit of their own, whose results saturate at the ends of their type."""
ACCUMULATORS = {"acc", "total", "sum", "y", "s"}
"""Names of registers that add products: see the formulas of the operations."""


def audit(
    model: Model,
    sha256: str,
    texts: Sequence[str] | None = None,
    backend: Backend = "compiled",
    languages: tuple[str | None, str | None] = (None, None),
    machine: document.Machine | None = None,
) -> document.Audit:
    """Return the audit of a model.

    texts      lines that the model translates, reads or encodes; None: only proofs
    languages  languages of the lines and of their translations.  None: the default of the model.

    Raises the errors of `translation.recording.record`.
    """
    program, tensors = model.program, model.tensors
    types = model.types or validate(program, tensors)
    proved = Proved(program, tensors, types)
    sequences = _sequences(program)
    watch = None if texts is None else _watch(model, sequences, types, texts, backend, languages)
    rows = [
        _row(name, number, instruction, _types(types, name, program), model, proved, watch)
        for name, sequence in sequences.items()
        for number, instruction in enumerate(sequence)
    ]
    return document.Audit(
        arithmetic=VERSION,
        model=model.name,
        sha256=sha256,
        text_lines=None if texts is None else len(texts),
        source_keys=program.max_source_length,
        history_keys=0 if program.encodes else min(max_steps(program, tensors), MAX_KEYS),
        parameters=sum(tensor.size for tensor in tensors.values()),
        tensor_bytes=sum(tensor.nbytes for tensor in tensors.values()),
        totals=[_total(name, [row for row in rows if row.sequence == name]) for name in sequences],
        states=list(_states(program, types)),
        instructions=rows,
        machine=machine,
    )


Sequences = dict[document.Sequence, list[Instruction]]


def _sequences(program: Program) -> Sequences:
    found: Sequences = {
        "encoder": list(program.encoder),
        "decoder": list(program.decoder),
        "search": [program.softmax] if program.logits else [],
    }
    return {name: sequence for name, sequence in found.items() if sequence}


def _types(types: Checked, sequence: str, program: Program) -> Mapping[str, ValueType]:
    known = {**types.encoder, **types.decoder}
    if sequence == "search":
        return {**known, program.softmax.out: known[program.logits]}
    return known


def _watch(
    model: Model,
    sequences: Sequences,
    types: Checked,
    texts: Sequence[str],
    backend: Backend,
    languages: tuple[str | None, str | None],
) -> Watch:
    """Run the lines in batches."""
    places: dict[str, Place] = {}
    ends: dict[str, tuple[int, int]] = {}
    for name, sequence in sequences.items():
        known = _types(types, name, model.program)
        for number, instruction in enumerate(sequence):
            places[instruction.names("result")[0]] = (name, number)
            for result in instruction.names("result"):
                found = _ends(instruction, known[result])
                if found is not None:
                    ends[result] = found
    watch = Watch(places, ends)
    for first in range(0, len(texts), BATCH):
        lines = list(texts[first : first + BATCH])
        record(model, lines, backend=backend, languages=languages, into=watch)
    return watch


def _ends(instruction: Instruction, kind: ValueType) -> tuple[int, int] | None:
    """The numbers at which a result saturates."""
    if isinstance(instruction, Linear):
        return None if instruction.shift is None else (instruction.low, instruction.high)
    if instruction.op in SATURATING and kind.width:
        return -LARGEST[kind.dtype], LARGEST[kind.dtype]
    limit = getattr(instruction, "limit", None)
    return None if limit is None else (-limit, limit)


def _row(
    sequence: document.Sequence,
    number: int,
    instruction: Instruction,
    types: Mapping[str, ValueType],
    model: Model,
    proved: Proved,
    watch: Watch | None,
) -> document.Row:
    place = sequence, number
    seen = {} if watch is None else watch.registers.get(place, {})
    products, each = costs.multiplications(instruction, types)
    results = instruction.names("result")
    return document.Row(
        sequence=sequence,
        number=number,
        op=instruction.op,
        multiplications=products,
        multiplications_each_key=each,
        weight_bytes=costs.weight_bytes(instruction.names("tensor"), model.tensors),
        read_bytes=costs.read_bytes(instruction, model.tensors),
        result_bytes=costs.row_bytes(results, types),
        registers=[
            _register(name, found, seen.get(name))
            for name, found in proved.registers[sequence][number].items()
        ],
        results=[
            _value(field, name, types[name], proved.values[name], watch)
            for field, kind, name in instruction.operands()
            if kind == "result" and name is not None
        ],
        rows=None if watch is None else watch.rows.get(place, 0),
    )


def _register(name: str, found: Interval, seen: Range | None) -> document.Register:
    low, high = found.ends
    ends = None if seen is None else seen.ends
    needed = None if ends is None else bits(min(ends[0], -1) if low < 0 else ends[0], ends[1])
    return document.Register(
        name=name, low=low, high=high, bits=bits(low, high), seen=ends, seen_bits=needed
    )


def _value(
    field: str, name: str, kind: ValueType, found: Interval, watch: Watch | None
) -> document.Value:
    low, high = found.ends
    counted: Ends | None = None if watch is None else watch.ends.get(name)
    filled = counted is not None and counted.total > 0
    return document.Value(
        name=name,
        field=field,
        domain=kind.domain,
        dtype=kind.dtype,
        width=kind.width,
        low=low,
        high=high,
        elements=counted.total if counted is not None else None,
        at_low=_share(counted.at_low, counted.total) if counted is not None and filled else None,
        at_high=_share(counted.at_high, counted.total) if counted is not None and filled else None,
    )


def _share(part: int, whole: int) -> int:
    """The parts of a million, rounded half up."""
    return (2 * part * MILLION + whole) // (2 * whole)


def _total(sequence: document.Sequence, rows: Sequence[document.Row]) -> document.Total:
    accumulators = [r.bits for row in rows for r in row.registers if r.name in ACCUMULATORS]
    return document.Total(
        sequence=sequence,
        instructions=len(rows),
        multiplications=sum(row.multiplications for row in rows),
        multiplications_each_key=sum(row.multiplications_each_key for row in rows),
        read_bytes=sum(row.read_bytes for row in rows),
        result_bytes=sum(row.result_bytes for row in rows),
        largest_accumulator_bits=max(accumulators, default=0),
    )


def _states(program: Program, types: Checked) -> Iterator[document.State]:
    for state in program.states:
        yield document.State(
            name=state.value,
            dtype=state.dtype,
            width=state.width,
            history=state.domain == "history",
            bytes=costs.row_bytes([state.value], types.decoder),
        )
