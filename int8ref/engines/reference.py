"""The golden backend: plain NumPy, one call for each instruction, one array for each value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.program.bounds import Bounds
from int8ref.program.inputs import (
    Batch,
    Observer,
    Values,
    first_states,
    ids_of_rows,
    places_of_rows,
    source_inputs,
    target_inputs,
)
from int8ref.program.program import Program, Tensors, takes_source
from int8ref.program.sizes import max_steps, most_source_length, vocabulary_size
from int8ref.reference import operation
from int8ref.search.beam import beam
from int8ref.search.checks import check_batch, check_decodes, check_encodes
from int8ref.search.decoder import Piece, step_by_step
from int8ref.search.forced import log_probabilities
from int8ref.search.greedy import greedy
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling
from int8ref.search.request import Path, Record, Request, check_no_candidates, check_records
from int8ref.search.sample import sample
from int8ref.spec.instruction import Instruction


class ReferenceEngine:
    """The golden backend."""

    def __init__(self, program: Program, tensors: Tensors) -> None:
        self.program = program
        self.tensors = tensors
        self._source = Bounds.of(program, tensors, "source", most_source_length(program))
        self._target = Bounds.of(program, tensors, "target", max_steps(program, tensors))

    @property
    def threads_of_a_call(self) -> int:
        """See `Engine.threads_of_a_call`."""
        return 1

    def __repr__(self) -> str:
        return f"<ReferenceEngine of {self.program}>"

    def session(self, batch: Batch, observe: Observer | None = None) -> ReferenceSession:
        """See `Engine.session`."""
        check_batch(batch)
        self._source.check_sources(batch)
        return ReferenceSession(self.program, self.tensors, batch, observe, self._target)

    def outputs(self, batch: Batch) -> npt.NDArray[Any]:
        """See `Engine.outputs`."""
        check_batch(batch)
        check_encodes(self.program)
        self._source.check_sources(batch)
        values = source_inputs(batch, taken=True)
        for instruction in self.program.encoder:
            values |= run_instruction(instruction, values, self.tensors)
        return values[str(self.program.output)]

    def greedy(self, requests: Sequence[Request], rows: int | None = None) -> list[list[int]]:
        """See `Engine.greedy`."""
        return greedy(self, self._checked(Request, requests))

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, rows: int | None = None
    ) -> list[list[int]]:
        """See `Engine.sample`."""
        checked = self._checked(Request, requests)
        check_no_candidates(checked)
        return sample(self, checked, sampling)

    def beam(self, requests: Sequence[Request], options: BeamOptions) -> list[list[Hypothesis]]:
        """See `Engine.beam`."""
        return beam(self, self._checked(Request, requests), options)

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """See `Engine.log_probabilities`."""
        checked = self._checked(Path, paths)
        self._target.check_ids([path.start for path in checked])
        return log_probabilities(self, checked)

    def logits(self, paths: Sequence[Path]) -> Iterator[Piece]:
        """See `Engine.logits`."""
        return step_by_step(self, self._checked(Path, paths))

    def _checked(self, kind: type[Record], records: Sequence[Record]) -> Sequence[Record]:
        """Return the records if all checks pass."""
        check_decodes(self.program)
        check_records(kind, records, vocabulary_size(self.program, self.tensors))
        self._target.check_length(max((record.steps for record in records), default=0))
        return records


class ReferenceSession:
    """The golden session: every value of the Program is an array in a dictionary."""

    def __init__(
        self,
        program: Program,
        tensors: Tensors,
        batch: Batch,
        observe: Observer | None,
        bounds: Bounds,
    ) -> None:
        self._bounds = bounds
        self._program = program
        self._tensors = tensors
        self._observe = observe
        self._memory = source_inputs(batch, takes_source(program))
        self._run(program.encoder, self._memory)
        self._sentence = np.arange(len(batch), dtype=np.int32)
        self._states = first_states(program, len(batch))
        self._position = 0

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """See `Session.step`."""
        check_decodes(self._program)
        ids = ids_of_rows(ids, len(self._sentence))
        self._bounds.check_ids(ids)
        self._bounds.check_length(self._position + 1, "a translation")
        inputs = target_inputs(ids, self._position, self._sentence)
        values = {**self._memory, **self._states, **inputs}
        self._run(self._program.decoder, values)
        self._states = {s.value: values[s.next_value] for s in self._program.states}
        self._position += 1
        return values[self._program.logits]

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """See `Session.select`."""
        rows = places_of_rows(rows, len(self._sentence))
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
    names = [content for _, kind, content in instruction.operands() if kind == "result"]
    pairs = zip(names, results if len(names) > 1 else (results,), strict=True)
    return {name: result for name, result in pairs if name is not None}
