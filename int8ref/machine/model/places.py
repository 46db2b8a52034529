"""The place of every value in the arena.  A value uses memory that no living value holds."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable

import msgspec
import numpy as np

from int8ref.program.program import SOURCE_INPUTS, TARGET_INPUTS, Program
from int8ref.spec.operands import DOMAINS
from int8ref.spec.scope import Domain, ValueType

ALIGNMENT = 4
"""Prefixes are multiples of 4, and capacities multiples of 16.  Therefore addresses are multiples
of 64."""
FOREVER = 1 << 30

Spans = dict[str, tuple[int, int]]
"""The first and the last use of each value."""


class Place(msgspec.Struct, frozen=True):
    """The place of a value, as the words of its operand: domain, prefix, width, item size."""

    domain: Domain
    prefix: int
    width: int
    item: int

    def words(self) -> list[int]:
        """The operand in code."""
        return [DOMAINS.index(self.domain), self.prefix, self.width, self.item]


class Places(msgspec.Struct, frozen=True):
    """The place of every value, and the bytes of a row of each domain."""

    by_name: dict[str, Place]
    row_bytes: dict[Domain, int]


def places_of(program: Program, types: dict[str, ValueType], keep_values: bool = False) -> Places:
    """The places of the values of a valid Program, whose values have these types.

    With `keep_values`, no two values share memory, so that all values can be read after the run.
    """
    shared = {state.next_value: state.value for state in program.states}
    return allocate(types, lifetimes(program, keep_values), shared)


def lifetimes(program: Program, keep_values: bool) -> Spans:
    """The first and the last use of each value.  Time counts instructions, the encoder before the
    decoder.

    Inputs, states, the output and the encoder values that the decoder reads live through every
    step.
    """
    spans: Spans = {}
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
    yield str(program.output) if program.encodes else program.logits


def allocate(types: dict[str, ValueType], spans: Spans, shared: dict[str, str]) -> Places:
    """First fit: each value takes the lowest bytes of its domain that no living value holds.

    `shared` maps a value to another value with the same place.  A state and its successor share a
    place, because kernels advance states in place.  The bytes of a row of a history are the bytes
    of one step.
    """
    places: dict[str, Place] = {}
    row_bytes: dict[Domain, int] = dict.fromkeys(DOMAINS, 0)
    living: dict[str, list[tuple[int, int, int]]] = {domain: [] for domain in DOMAINS}
    for name, (born, dies) in sorted(spans.items(), key=lambda item: item[1][0]):
        if name in shared:
            continue
        kind = types[name]
        item = np.dtype(kind.dtype).itemsize
        size = -(-max(kind.width, 1) * item // ALIGNMENT) * ALIGNMENT
        busy = [held for held in living[kind.domain] if held[2] >= born]  # sorted by place
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
    return Places(places, row_bytes)
