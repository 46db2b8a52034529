"""All values that an engine computes, step by step, and their digests.

The digest of a sentence covers the result of every instruction: of the encoder, then of each step
of greedy search.  It is the SHA-256 of, for each result in the order of computation,

    STEP NAME DTYPE SHAPE, a line feed, and the rows of the sentence, little-endian

STEP is - for the encoder, and counts from 0 in the decoder.  SHAPE has a number for each dimension,
joined by x.  The other sentences of a batch do not change a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from int8ref.engines.engine import Engine
from int8ref.program.validate import Checked
from int8ref.search.request import Request
from int8ref.spec.scope import ValueType

Array = npt.NDArray[Any]


class Moment(msgspec.Struct, frozen=True, eq=False):
    """The values of the encoder, or of one step of the decoder.

    step    number of the step from 0; None for the encoder
    rows    the sentences of the rows
    values  (name, array) of every result, in the order of computation
    """

    step: int | None
    rows: list[int]
    values: list[tuple[str, Array]]


def moments(engine: Engine, requests: Sequence[Request]) -> Iterator[Moment]:
    """Yield the moments of greedy search over a batch."""
    seen: list[tuple[str, Array]] = []
    session = engine.session(
        [request.ids for request in requests], lambda name, value: seen.append((name, value.copy()))
    )
    rows = list(range(len(requests)))
    yield Moment(None, rows, list(seen))
    if engine.program.encodes:
        return
    ids, step = [engine.program.start] * len(rows), 0
    while rows:
        seen.clear()
        logits = session.step(np.array(ids, np.int32))
        yield Moment(step, rows, list(seen))
        chosen = [_next(engine, requests[index], step, logits[at]) for at, index in enumerate(rows)]
        going = [at for at, token in enumerate(chosen) if token is not None]
        session.select(np.array(going, np.int64))
        rows, ids = [rows[at] for at in going], [t for t in chosen if t is not None]
        step += 1


def _next(engine: Engine, request: Request, step: int, logits: Array) -> int | None:
    """Return the next input of a row, or None at its end."""
    if step < len(request.prefix):
        return request.prefix[step]
    token = int(logits.argmax())  # greedy search
    ended = token in engine.program.ends or step + 1 == request.steps
    return None if ended else token


class Places:
    """The rows of each sentence in the values of a moment."""

    def __init__(self, types: Checked, requests: Sequence[Request]) -> None:
        self._types = types
        self._begins = [0, *accumulate(len(request.ids) for request in requests)]

    def parts(self, moment: Moment, name: str, value: Array) -> Iterator[tuple[int, slice]]:
        """Yield (sentence, its rows) of a value."""
        if self._type(moment, name).domain == "source":
            for index in range(len(self._begins) - 1):
                yield index, slice(*self._begins[index : index + 2])
        else:
            for at, index in enumerate(moment.rows):
                yield index, slice(at, at + 1)

    def _type(self, moment: Moment, name: str) -> ValueType:
        types = self._types.encoder if moment.step is None else self._types.decoder
        return types[name]


def digests(engine: Engine, types: Checked, requests: Sequence[Request]) -> list[str]:
    """Return the digest of each sentence of a batch."""
    places = Places(types, requests)
    hashes = [hashlib.sha256() for _ in requests]
    for moment in moments(engine, requests):
        step = "-" if moment.step is None else moment.step
        for name, value in moment.values:
            for index, rows in places.parts(moment, name, value):
                part = np.ascontiguousarray(value[rows])
                shape = "x".join(map(str, part.shape))
                hashes[index].update(f"{step} {name} {part.dtype} {shape}\n".encode())
                hashes[index].update(part.astype(part.dtype.newbyteorder("<"), copy=False).data)
    return [made.hexdigest() for made in hashes]


def first_difference(
    golden: Engine, other: Engine, types: Checked, requests: Sequence[Request]
) -> str | None:
    """Describe the first value in which two engines differ on a batch, or return None."""
    places = Places(types, requests)
    ops = {
        name: instruction.op
        for instruction in (*golden.program.encoder, *golden.program.decoder)
        for name in instruction.names("result")
    }
    for wanted, found in zip(moments(golden, requests), moments(other, requests), strict=True):
        for (name, right), (_, wrong) in zip(wanted.values, found.values, strict=True):
            for index, rows in places.parts(wanted, name, right):
                told = described(wrong[rows], right[rows])
                if told:
                    where = "encoder" if wanted.step is None else f"decoder step {wanted.step}"
                    return (
                        f"{ops[name]} {name!r}, sentence {requests[index].number}, {where}, {told}"
                    )
    return None


def described(wrong: Array, right: Array) -> str:
    """Describe the first element in which two arrays differ; "" if they are equal."""
    if wrong.shape != right.shape or wrong.dtype != right.dtype:
        return f"{wrong.dtype} {wrong.shape}, expected {right.dtype} {right.shape}"
    unequal = np.argwhere(wrong != right)
    if not len(unequal):
        return ""
    place = tuple(unequal[0].tolist())
    names = ("row", "column") if len(place) == 2 else ("row", "step", "column")[: len(place)]
    where = ", ".join(f"{name} {at}" for name, at in zip(names, place, strict=False))
    return f"{where}: got {wrong[place]}, expected {right[place]}"
