"""Runs a Program, on one of two backends that give the same bits.

reference   plain NumPy, one call an instruction: every tensor can be looked at
compiled    Numba kernels under one interpreter loop, no Python between the instructions
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from int8ref.instruction import Instruction
from int8ref.program import Program, Tensors
from int8ref.reference import operation
from int8ref.search.greedy import greedy

Backend = Literal["compiled", "reference"]
BACKENDS: tuple[Backend, ...] = ("compiled", "reference")

Batch = Sequence[Sequence[int]]
Values = dict[str, npt.NDArray[Any]]
Observer = Callable[[str, npt.NDArray[Any]], None]
"""Called with every value and its name as it is computed.  Observation changes nothing."""


class Session(Protocol):
    """A batch of sentences that has been encoded and is being decoded, one row a hypothesis.

    At first there is one row a sentence, in order.
    """

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Advance every row by the token `ids[row]`: logits int32 [rows, vocabulary]."""
        ...

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """Replace the rows by these rows, in this order; a row may be dropped or repeated."""
        ...


class Engine(Protocol):
    """What every backend offers.  Engines are immutable and may be used from several threads."""

    program: Program

    def session(self, batch: Batch, observe: Observer | None = None) -> Session:
        """Encode a batch (token ids of each source sentence, with the final eos)."""
        ...

    def greedy(self, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
        """Translate by the most likely token after the most likely token.

        `limits`: most tokens of each translation.  The ids of the translations, without eos.
        """
        ...


def load_engine(program: Program, tensors: Tensors, backend: Backend = "compiled") -> Engine:
    """An engine for a valid Program (see `program.validate`)."""
    if backend == "reference":
        return ReferenceEngine(program, tensors)
    from int8ref.machine.engine import CompiledEngine

    return CompiledEngine(program, tensors)


class ReferenceEngine:
    """The golden backend."""

    def __init__(self, program: Program, tensors: Tensors) -> None:
        self.program = program
        self.tensors = tensors

    def session(self, batch: Batch, observe: Observer | None = None) -> ReferenceSession:
        """See `Engine.session`."""
        return ReferenceSession(self.program, self.tensors, batch, observe)

    def greedy(self, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
        """See `Engine.greedy`."""
        return greedy(self, batch, limits)


class ReferenceSession:
    """The golden session: every value of the Program is an array in a dictionary."""

    def __init__(
        self, program: Program, tensors: Tensors, batch: Batch, observe: Observer | None
    ) -> None:
        self._program = program
        self._tensors = tensors
        self._observe = observe
        self._memory = source_inputs(batch)
        self._run(program.encoder, self._memory)
        self._sentence = np.arange(len(batch), dtype=np.int32)
        self._states = {
            state.value: np.zeros((len(batch), state.width), state.dtype)
            for state in program.states
        }
        self._position = 0

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """See `Session.step`."""
        values = {
            **self._memory,
            **self._states,
            "target.ids": ids,
            "target.positions": np.full(len(ids), self._position, np.int32),
            "target.sentence": self._sentence,
        }
        self._run(self._program.decoder, values)
        self._states = {s.value: values[s.next_value] for s in self._program.states}
        self._position += 1
        return values[self._program.logits]

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """See `Session.select`."""
        self._sentence = self._sentence[rows]
        self._states = {name: state[rows] for name, state in self._states.items()}

    def _run(self, sequence: Sequence[Instruction], values: Values) -> None:
        for instruction in sequence:
            results = run_instruction(instruction, values, self._tensors)
            values.update(results)
            if self._observe is not None:
                for name, value in results.items():
                    self._observe(name, value)


def run_instruction(instruction: Instruction, values: Values, tensors: Tensors) -> Values:
    """The results of one instruction on the reference, by name."""
    sources = {"value": values, "tensor": tensors}
    arguments = {
        field: sources[kind][content] if kind in sources and content is not None else content
        for field, kind, content in instruction.operands()
        if kind != "result"
    }
    results = operation(instruction.op)(**arguments)
    names = instruction.names("result")
    return dict(zip(names, results if len(names) > 1 else (results,), strict=True))


def source_inputs(batch: Batch) -> Values:
    """The encoder's inputs: sentences one after the other, without padding.

    Raises ValueError for a batch without sentences or a sentence without tokens.
    """
    lengths = np.array([len(sentence) for sentence in batch], np.int32)
    if len(lengths) == 0 or lengths.min() == 0:
        raise ValueError("a batch needs sentences, and a sentence tokens")
    return {
        "source.ids": np.concatenate([np.asarray(s, np.int32) for s in batch]),
        "source.positions": np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]),
        "source.sentence": np.repeat(np.arange(len(batch), dtype=np.int32), lengths),
        "source.offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
    }
