"""Assembler: a Program becomes code, and every value gets its place in the arena."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.abi.frame import (
    CODE_WORDS,
    DOMAIN,
    DOMAINS,
    ITEM,
    OPERAND_WORDS,
    PACKED,
    PREFIX,
    QUADS,
    START_SHIFT,
    operands_at,
)
from int8ref.kernels.gemm.coarse_layout import Coarse, coarse_workspace
from int8ref.kernels.gemm.layout import DEPTH
from int8ref.machine.model.prepare import Prepared, head, linears, start_shift
from int8ref.program.program import (
    SOURCE_INPUTS,
    TARGET_INPUTS,
    Program,
    takes_source,
)
from int8ref.reference import instructions
from int8ref.reference.embed import Embed
from int8ref.reference.layer_norm import LayerNorm
from int8ref.reference.linear import Linear
from int8ref.reference.match_add import MatchAdd
from int8ref.spec.instruction import Domain, Instruction, ValueType

Int64 = npt.NDArray[np.int64]

ALIGNMENT = 4
"""Prefixes are multiples of this; with capacities that are multiples of 16, addresses are of 64."""
FOREVER = 1 << 30
ABSENT = [0, 0, 0, 0]
"""The operand of a value that an instruction leaves out."""
ATTENTION_WORKSPACE = 8192

OPCODES = {op: index for index, op in enumerate(sorted(instructions()))}


class Place(msgspec.Struct, frozen=True):
    """Where a value lies, as the words of its operand: domain, prefix, width, item size."""

    domain: Domain
    prefix: int
    width: int
    item: int

    def words(self) -> list[int]:
        """The operand in code."""
        return [DOMAINS.index(self.domain), self.prefix, self.width, self.item]


class Code(msgspec.Struct, frozen=True):
    """An assembled Program.

    `takes_source` is that of `program.takes_source`.  `choice` is the decoder with its last
    instruction, which gives the logits, fused with argmax: it writes the likeliest tokens to
    target.ids instead.  `row_bytes` are the bytes a row of each domain takes; `states` and
    `targets` (the inputs of a step) are operands, a row each.  `depth` is the most inputs of a
    product, `row_workspace` the bytes that instructions need for a row.  `kept` keeps alive the
    arrays whose addresses are in the code.  `least_workspace` are the bytes that the choice needs.
    """

    encoder: Int64
    decoder: Int64
    choice: Int64
    states: Int64
    targets: Int64
    places: dict[str, Place]
    row_bytes: dict[Domain, int]
    depth: int
    row_workspace: int
    least_workspace: int
    takes_source: bool
    kept: list[npt.NDArray[Any]]

    def workspace_bytes(self, rows: int) -> int:
        """Scratch memory that suffices for every instruction on so many rows, on every CPU."""
        product = _gemm_workspace(rows, self.depth)
        return max(
            ATTENTION_WORKSPACE, self.least_workspace + 4 * rows, product, self.row_workspace
        )


def _gemm_workspace(rows: int, depth: int) -> int:
    """At least what `kernels.gemm` asks for on any instruction set."""
    pitch = 2 * (depth + 8) + 64
    maxima = 4 * rows
    return 2048 + 64 * pitch + max(6 * pitch, min(rows * pitch, 384 * 1024)) + maxima


def assemble(
    program: Program,
    types: dict[str, ValueType],
    prepared: Prepared,
    keep_values: bool = False,
    plain_head: bool = False,
    coarse_head: bool = False,
) -> Code:
    """Assemble a valid Program, whose values are of these types.

    With `keep_values`, no two values share memory, so that all of them can be read afterwards;
    otherwise a value's memory is used again after its last use.  With `plain_head`, the weight of
    the last instruction stays as it is in the model file: only candidates can be decoded then, and
    the largest of all weights is neither packed nor kept twice.  A table of embeddings that is a
    packed weight is read as such: it is not kept twice either.  With `coarse_head`, the weight of
    the last instruction stays too, but for the choice, which finds its tokens by coarse weights;
    where this CPU has no use for these, `coarse_head` changes nothing.
    """
    coarse = prepared.coarse(head(program)) if coarse_head else None
    plain_head = plain_head or coarse is not None
    lifetimes = _lifetimes(program, keep_values)
    places, row_bytes = _allocate(program, types, lifetimes)
    kept: list[npt.NDArray[Any]] = []
    packed = {product.weight for product in linears(program)}
    if plain_head:
        packed.discard(head(program).weight)

    def code(sequence: Sequence[Instruction]) -> Int64:
        rows = np.zeros((len(sequence), CODE_WORDS), np.int64)
        for row, instruction in zip(rows, sequence, strict=True):
            plain = plain_head and instruction is program.decoder[-1]
            found = prepared.of(instruction, plain)
            if isinstance(instruction, Linear):
                row[QUADS] = prepared.quads(instruction, plain)
                row[START_SHIFT] = start_shift(instruction, found["bias"])
            if isinstance(instruction, Embed) and instruction.table in packed:
                row[PACKED] = 1
                found = {**found, "table": prepared.packed(instruction.table)}
            kept.extend(found.values())
            _encode(instruction, places, found, row)
        return rows

    decoder = code(program.decoder)
    choice = _fuse_argmax(decoder, places["target.ids"])
    least_workspace = 0
    if coarse is not None:
        kept.extend([coarse.weight, coarse.start])
        least_workspace = _add_coarse(choice, coarse)
    kinds = MatchAdd | Embed | LayerNorm
    scratch = [i for i in (*program.encoder, *program.decoder) if isinstance(i, kinds)]
    return Code(
        encoder=code(program.encoder),
        decoder=decoder,
        choice=choice,
        targets=np.array([places[name].words() for name in TARGET_INPUTS], np.int64),
        states=np.array([places[s.value].words() for s in program.states], np.int64).reshape(-1, 4),
        places=places,
        row_bytes=row_bytes,
        depth=max(types[product.x].width for product in linears(program)),
        row_workspace=4 * max((types[i.out].width + DEPTH for i in scratch), default=0),
        least_workspace=least_workspace,
        takes_source=takes_source(program),
        kept=kept,
    )


def _encode(
    instruction: Instruction,
    places: dict[str, Place],
    tensors: dict[str, npt.NDArray[Any]],
    row: Int64,
) -> None:
    row[0] = OPCODES[instruction.op]
    at = operands_at(type(instruction))
    for field, kind, content in instruction.operands():
        if kind in ("value", "result"):
            words = places[content].words() if content is not None else ABSENT
        elif kind == "tensor":
            array = tensors.get(field)
            words = [0, 0] if array is None else [array.ctypes.data, len(array)]
        else:
            words = [0 if content is None else content]
        assert len(words) == OPERAND_WORDS[kind]
        row[at[field] : at[field] + len(words)] = words


def _fuse_argmax(decoder: Int64, ids: Place) -> Int64:
    """The decoder with the argmax of its last instruction put into `ids` (see `kernels.linear`)."""
    fused = decoder.copy()
    out = fused[-1, operands_at(Linear)["out"] :]
    out[[DOMAIN, PREFIX, ITEM]] = DOMAINS.index(ids.domain), ids.prefix, 0
    return fused


def _add_coarse(choice: Int64, coarse: Coarse) -> int:
    """Put the coarse weights where `kernels.linear` looks for them; returns the scratch memory that
    it will need."""
    at = operands_at(Linear)
    choice[-1, at["multiplier"]] = coarse.weight.ctypes.data
    choice[-1, at["shift"]] = coarse.start.ctypes.data
    choice[-1, at["low"]] = coarse.length
    return coarse_workspace(coarse)


def row_bytes(program: Program, types: dict[str, ValueType]) -> dict[Domain, int]:
    """The bytes that a row of each domain takes while nobody looks at its values."""
    return _allocate(program, types, _lifetimes(program, keep_values=False))[1]


def _lifetimes(program: Program, keep_values: bool) -> dict[str, tuple[int, int]]:
    """First and last use of each value: encoder from time 0 on, decoder after it.

    Inputs, states and what the decoder reads of the encoder live through every step.
    """
    spans: dict[str, tuple[int, int]] = {}
    sequence = [*program.encoder, *program.decoder]
    boundary = len(program.encoder)
    for time, instruction in enumerate(sequence):
        for name in instruction.names("result"):
            spans[name] = (time, FOREVER if keep_values else time)
        for name in instruction.names("value"):
            born, _ = spans.get(name, (-1, 0))
            crosses = born < boundary <= time
            spans[name] = (born, FOREVER if crosses or keep_values else time)
    for name in _permanent(program):
        spans[name] = (-1, FOREVER)
    return spans


def _permanent(program: Program) -> Iterable[str]:
    yield from SOURCE_INPUTS
    yield from TARGET_INPUTS
    for state in program.states:
        yield state.value
        yield state.next_value
    yield program.logits


def _allocate(
    program: Program, types: dict[str, ValueType], spans: dict[str, tuple[int, int]]
) -> tuple[dict[str, Place], dict[Domain, int]]:
    """First fit: each value takes the lowest bytes of its domain that nobody living holds.

    A state and its successor share one place: the kernels that advance a state do so in place.
    Bytes a row of a history are those of one step.
    """
    shared = {s.next_value: s.value for s in program.states}
    places: dict[str, Place] = {}
    row_bytes: dict[Domain, int] = dict.fromkeys(DOMAINS, 0)  # type: ignore[arg-type]
    living: dict[str, list[tuple[int, int, int]]] = {domain: [] for domain in DOMAINS}
    for name, (born, dies) in sorted(spans.items(), key=lambda item: item[1][0]):
        if name in shared:
            continue
        kind = types[name]
        item = np.dtype(kind.dtype).itemsize
        size = -(-max(kind.width, 1) * item // ALIGNMENT) * ALIGNMENT
        busy = [held for held in living[kind.domain] if held[2] >= born]  # in order of place
        prefix = 0
        for start, stop, _ in busy:
            if prefix + size <= start:
                break
            prefix = stop
        insort(busy, (prefix, prefix + size, dies))
        living[kind.domain] = busy
        row_bytes[kind.domain] = max(row_bytes[kind.domain], prefix + size)
        places[name] = Place(kind.domain, prefix, kind.width, item)
    places |= {name: places[origin] for name, origin in shared.items()}
    return places, row_bytes
