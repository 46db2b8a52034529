"""Proves the range of every register and of every value of a Program, from its tensors.

Each operation has a function of its own name in `products`, `norms` or `attentions`.  It derives
the ranges of registers and results from the ranges of the operands, as the operation computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from int8ref.auditing import attentions, norms, products
from int8ref.auditing.given import Given, Results
from int8ref.auditing.intervals import Interval
from int8ref.program.program import Program
from int8ref.program.sizes import max_steps
from int8ref.program.validate import Checked
from int8ref.reference import instructions
from int8ref.reference.attention import MAX_KEYS
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import Tensors, ValueType

ROUNDS = 3
"""Passes over the decoder after which a state that still grows gets the range of its type."""

Registers = dict[str, Interval]


@cache
def proofs() -> dict[str, Callable[[Given], Results]]:
    """Operation -> the function that proves its ranges."""
    modules = (products, norms, attentions)
    found = {op: [getattr(m, op) for m in modules if hasattr(m, op)] for op in instructions()}
    return {op: functions[0] for op, functions in found.items() if functions}


class Proved:
    """The ranges of a Program.

    registers  for each instruction of encoder, decoder and search: name -> range
    values     name of a value -> range
    """

    def __init__(self, program: Program, tensors: Tensors, types: Checked) -> None:
        self._program, self._tensors = program, tensors
        self.values: dict[str, Interval] = {}
        self.registers: dict[str, list[Registers]] = {}
        self._inputs(types)
        self._walk("encoder", program.encoder, types.encoder, self._keys("source"))
        if not program.encodes:
            self._decoder(types.decoder)
        if program.logits:
            known = types.encoder if program.encodes else types.decoder
            logits = {**known, program.softmax.out: known[program.logits]}
            self._walk("search", [program.softmax], logits, 1)

    def _keys(self, domain: str) -> int:
        """The most keys that a row sees."""
        if domain == "source":
            return max(self._program.max_source_length, 1)
        return min(max_steps(self._program, self._tensors), MAX_KEYS)

    def _inputs(self, types: Checked) -> None:
        for name, kind in {**types.encoder, **types.decoder}.items():
            if kind.width == 0:
                self.values[name] = _limits(kind)

    def _decoder(self, types: Mapping[str, ValueType]) -> None:
        """Walk the decoder until the ranges of the states hold their successors."""
        program = self._program
        for state in program.states:
            self.values[state.value] = Interval.of(0)
        for turn in range(ROUNDS + 1):
            self._walk("decoder", program.decoder, types, 0)
            grown = False
            for state in program.states:
                old, new = self.values[state.value], self.values[state.next_value]
                if not new.within(old):
                    grown = True
                    wide = turn + 1 >= ROUNDS
                    self.values[state.value] = (
                        _limits(types[state.value]) if wide else old.hull(new)
                    )
            if not grown:
                return
        self._walk("decoder", program.decoder, types, 0)

    def _walk(
        self, name: str, sequence: list[Instruction], types: Mapping[str, ValueType], keys: int
    ) -> None:
        """Prove the instructions of a sequence.  `keys` of 0: the keys decide for each one."""
        found: list[Registers] = []
        for instruction in sequence:
            most = keys or self._most_keys(instruction, types)
            given = Given(instruction, self.values, types, self._tensors, most)
            results = proofs()[instruction.op](given)
            found.append(given.registers)
            for field, kind, content in instruction.operands():
                if kind == "result" and content is not None:
                    self.values[content] = _typed(results[field], types[content])
        self.registers[name] = found

    def _most_keys(self, instruction: Instruction, types: Mapping[str, ValueType]) -> int:
        key = getattr(instruction, "key", None)
        history = key is not None and types[key].domain == "history"
        most = self._keys("history" if history else "source")
        window = getattr(instruction, "window", None)
        return min(most, window) if isinstance(window, int) else most


def _limits(kind: ValueType) -> Interval:
    limits = np.iinfo(kind.dtype)
    return Interval.of(limits.min, limits.max)


def _typed(found: Interval, kind: ValueType) -> Interval:
    """The range, cut to the type: a proof of `validate` says that the value fits."""
    limits = np.iinfo(kind.dtype)
    return found.clamped(int(limits.min), int(limits.max))
