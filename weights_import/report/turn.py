"""Rotary positions as an operation of their own, as the integer program has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from weights_import.float_program import FloatProgram, Operation, Operations
from weights_import.lowering.emitter import Emitter
from weights_import.operations.attention import Attention
from weights_import.operations.heads import Heads
from weights_import.operations.rotary import turned
from weights_import.run import Run
from weights_import.tensors import Float32


@dataclass(frozen=True, kw_only=True)
class Turn(Operation):
    """y = x turned by its positions: queries or keys."""

    x: str
    heads: Heads

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.x,)

    def run(self, run: Run) -> Float32:
        positions = run.batch.positions
        return turned(run.values[self.x], positions, self.heads.rotary, self.heads.size)

    def lower(self, emitter: Emitter) -> None:
        raise NotImplementedError("an attention lowers its rotary positions itself")


def turned_name(value: str) -> str:
    """The name of queries or keys behind the turn."""
    return f"{value}.turned"


def with_turns(program: FloatProgram) -> FloatProgram:
    """The same program, in which attentions read queries and keys that `Turn` has turned."""
    encoder, decoder = (tuple(_split(part)) for part in (program.encoder, program.decoder))
    return replace(program, encoder=encoder, decoder=decoder)


def _split(operations: Operations) -> Iterator[Operation]:
    made: set[str] = set()
    for one in operations:
        if not isinstance(one, Attention) or not one.heads.rotary:
            yield one
            continue
        for name in (one.query, one.key):
            if name not in made:
                made.add(name)
                yield Turn(out=turned_name(name), x=name, heads=one.heads)
        plain = replace(one.heads, rotary=())
        yield replace(one, query=turned_name(one.query), key=turned_name(one.key), heads=plain)
