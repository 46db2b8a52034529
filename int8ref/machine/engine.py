"""The compiled backend behind the `Engine` interface."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.executor import Batch, Observer
from int8ref.machine import call as word
from int8ref.machine.arena import Arena
from int8ref.machine.assemble import Code, assemble
from int8ref.machine.bounds import Bounds
from int8ref.machine.native import machine
from int8ref.program import TARGET_INPUTS, Program, Tensors
from int8ref.reference.attention_softmax import MAX_KEYS

Int64 = npt.NDArray[np.int64]


class CompiledEngine:
    """Runs a Program as native code.  Immutable; every call has an arena of its own."""

    def __init__(self, program: Program, tensors: Tensors) -> None:
        self.program = program
        self._tensors = tensors
        self._code = assemble(program, tensors)
        self._source = Bounds.of(program.encoder, tensors, MAX_KEYS)
        self._target = Bounds.of(program.decoder, tensors, 2**31 - 1)
        self._targets = np.array(
            [self._code.places[name].words() for name in TARGET_INPUTS], np.int64
        )
        self._machine = machine()

    @cached_property
    def _traced_code(self) -> Code:
        return assemble(self.program, self._tensors, keep_values=True)

    def session(self, batch: Batch, observe: Observer | None = None) -> CompiledSession:
        """See `Engine.session`."""
        self._check(batch)
        code = self._code if observe is None else self._traced_code
        return CompiledSession(self.program, code, self._target, batch, observe)

    def greedy(self, batch: Batch, limits: Sequence[int]) -> list[list[int]]:
        """See `Engine.greedy`."""
        self._check(batch)
        code, count = self._code, len(batch)
        if len(limits) != count:
            raise ValueError(f"{len(limits)} limits for {count} sentences")
        self._target.check_length(max(limits, default=0))
        arena = Arena(code, batch, target_rows=count)
        most = np.asarray(limits, np.int32)
        out = np.empty((count, max(int(most.max()), 1)), np.int32)
        lengths = np.empty(count, np.int32)
        call = np.zeros(word.CALL_WORDS, np.int64)
        call[word.MODE] = word.GREEDY
        call[word.FRAME] = arena.frame.ctypes.data
        call[[word.CODE, word.CODE_ROWS]] = code.encoder.ctypes.data, len(code.encoder)
        call[[word.DECODER, word.DECODER_ROWS]] = code.choice.ctypes.data, len(code.choice)
        call[[word.STATES, word.STATE_ROWS]] = code.states.ctypes.data, len(code.states)
        call[word.TARGETS] = self._targets.ctypes.data
        call[[word.START, word.EOS]] = self.program.start, self.program.eos
        call[word.LIMITS] = most.ctypes.data
        call[[word.OUT, word.OUT_PITCH]] = out.ctypes.data, out.shape[1]
        call[word.LENGTHS] = lengths.ctypes.data
        self._machine(call.ctypes.data)
        return [row[:length].tolist() for row, length in zip(out, lengths, strict=True)]

    def _check(self, batch: Batch) -> None:
        for sentence in batch:
            self._source.check_ids(sentence)
            self._source.check_length(len(sentence))


class CompiledSession:
    """A session whose steps are calls of the machine; values are read out of the arena."""

    def __init__(
        self,
        program: Program,
        code: Code,
        bounds: Bounds,
        batch: Batch,
        observe: Observer | None,
    ) -> None:
        self._program = program
        self._bounds = bounds
        self._code = code
        self._observe = observe
        self._rows = len(batch)
        self._arena = Arena(code, batch, target_rows=max(len(batch), 1))
        self._sentence = np.arange(len(batch), dtype=np.int32)
        self._position = 0
        self._run(code.encoder)
        self._report(program.encoder)
        for state in program.states:
            self._arena.value(state.value, self._rows)[...] = 0

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """See `Session.step`."""
        self._bounds.check_ids(ids)
        self._bounds.check_length(self._position + 1)
        arena, rows = self._arena, len(self._sentence)
        arena.set_rows("target", rows)
        arena.value("target.ids", rows)[...] = ids
        arena.value("target.positions", rows)[...] = self._position
        arena.value("target.sentence", rows)[...] = self._sentence
        self._run(self._code.decoder)
        self._report(self._program.decoder)
        self._position += 1
        return arena.value(self._program.logits, rows).copy()

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """See `Session.select`."""
        states = {
            s.value: self._arena.value(s.value, len(self._sentence))[rows].copy()
            for s in self._program.states
        }
        self._sentence = self._sentence[rows]
        self._arena.reserve_targets(len(rows))
        for name, state in states.items():
            self._arena.value(name, len(rows))[...] = state

    def _run(self, code: Int64) -> None:
        call = np.zeros(word.CALL_WORDS, np.int64)
        call[word.MODE] = word.RUN
        call[word.FRAME] = self._arena.frame.ctypes.data
        call[[word.CODE, word.CODE_ROWS]] = code.ctypes.data, len(code)
        machine()(call.ctypes.data)

    def _report(self, sequence: Sequence[Any]) -> None:
        if self._observe is None:
            return
        for instruction in sequence:
            for name in instruction.names("result"):
                self._observe(name, self._arena.value(name).copy())
