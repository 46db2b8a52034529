"""Runs a Program, on one of two backends that give the same bits.

reference   plain NumPy, one call an instruction: every tensor can be looked at
compiled    Numba kernels under one interpreter loop, no Python between the instructions
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from int8ref.bounds import Bounds
from int8ref.errors import OutOfRangeError, WrongValueError
from int8ref.instruction import Instruction
from int8ref.program import Checked, Program, Tensors, max_steps, takes_source, vocabulary_size
from int8ref.reference import operation
from int8ref.reference.attention import MAX_KEYS
from int8ref.search.beam import beam
from int8ref.search.candidates import Candidates, check_candidates
from int8ref.search.forced import check_paths, check_targets, forced, log_probabilities
from int8ref.search.greedy import greedy
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling, check_limits, sentences
from int8ref.search.prefixes import begun
from int8ref.search.sample import sample
from int8ref.search.sampling import numbered

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
        """Encode a batch (token ids of each source sentence, with their frame).

        A decoder alone (see `program.takes_source`) takes a batch of empty sentences, one a row.
        """
        ...

    def greedy(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """Translate by the most likely token after the most likely token.

        `limits`: most tokens of each translation, at least 1.  `prefixes`: tokens that the decoder
        is given first, which limits do not count.  The ids of the translations, without prefix and
        eos.
        `candidates`: the only tokens that each sentence may be translated with; where eos is not
        among them, up to its limit.
        """
        ...

    def sample(
        self,
        batch: Batch,
        limits: Sequence[int],
        sampling: Sampling,
        texts: Sequence[int] | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """Translate by tokens that are drawn by their probability (`search.sampling`).

        `texts`: a number in [0, 2^44) for each sentence, by which it gets its random numbers; by
        default from 0 on.  Limits, prefixes and results are those of `greedy`.
        """
        ...

    def beam(
        self,
        batch: Batch,
        limits: Sequence[int],
        options: BeamOptions,
        candidates: Candidates | None = None,
    ) -> list[list[Hypothesis]]:
        """The n_best best hypotheses of each sentence, best first (fewer only where the vocabulary
        is too small for as many); `search.beam` says which.

        `limits`: most tokens of each hypothesis, in [1, 8192].  `candidates`: as for `greedy`; the
        others have no probability.  Raises ValueError otherwise, and
        IndexError where the Program has no position for so many.
        """
        ...

    def score(
        self, batch: Batch, targets: Sequence[Sequence[int]], options: BeamOptions
    ) -> list[Hypothesis]:
        """Given translations as complete hypotheses: each target's ids, and eos after them.

        `targets`: token ids without eos, one target a sentence.  Of `options`, only the
        normalisation counts.  Raises ValueError for targets that no search could give.
        """
        ...

    def log_probabilities(
        self, batch: Batch, starts: Sequence[int], paths: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        """log2 P(token | source, tokens before it) of every token of a path a sentence.

        `starts`: the token before the first of each path, such as the Program's start.  No token
        ends a path, so that it may be of any text.  In units of 2^-20 (`arithmetic.LOG_BITS`),
        never positive.  Raises ValueError for an empty path or a token that is none, IndexError
        where the Program has no position for so many.
        """
        ...


def prepare_backend(backend: Backend) -> None:
    """Begin ahead what every first engine of a backend in a process waits for: the native code."""
    if backend == "compiled":
        from int8ref.machine.native import prepare

        prepare()


def load_engine(
    program: Program,
    tensors: Tensors,
    backend: Backend = "compiled",
    types: Checked | None = None,
    digest: str | None = None,
    name: str = "model",
) -> Engine:
    """An engine for a valid Program.

    `types` are what `program.validate` found, for who has called it.  `digest`, where there is one,
    tells these tensors from all others: the compiled engine then keeps in the cache what it packs,
    in place of what it kept of older tensors of this name.
    """
    if backend == "reference":
        return ReferenceEngine(program, tensors)
    from int8ref.machine.engine import CompiledEngine

    return CompiledEngine(program, tensors, types, digest, name)


class ReferenceEngine:
    """The golden backend."""

    def __init__(self, program: Program, tensors: Tensors) -> None:
        self.program = program
        self.tensors = tensors
        self._source = Bounds.of(program, tensors, "source", MAX_KEYS)
        self._target = Bounds.of(program, tensors, "target", max_steps(program, tensors))

    def session(self, batch: Batch, observe: Observer | None = None) -> ReferenceSession:
        """See `Engine.session`."""
        sentences(batch)
        self._source.check_sources(batch)
        return ReferenceSession(self.program, self.tensors, batch, observe, self._target)

    def greedy(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """See `Engine.greedy`."""
        first = self._begun(batch, limits, candidates, prefixes)
        return greedy(self, batch, limits, candidates, first)

    def sample(
        self,
        batch: Batch,
        limits: Sequence[int],
        sampling: Sampling,
        texts: Sequence[int] | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """See `Engine.sample`."""
        first = self._begun(batch, limits, None, prefixes)
        return sample(self, batch, limits, sampling, numbered(texts, len(batch)), first)

    def beam(
        self,
        batch: Batch,
        limits: Sequence[int],
        options: BeamOptions,
        candidates: Candidates | None = None,
    ) -> list[list[Hypothesis]]:
        """See `Engine.beam`."""
        check_limits(limits, sentences(batch))
        self._check(batch, limits, candidates)
        return beam(self, batch, limits, options, candidates)

    def score(
        self, batch: Batch, targets: Sequence[Sequence[int]], options: BeamOptions
    ) -> list[Hypothesis]:
        """See `Engine.score`."""
        vocabulary = vocabulary_size(self.program, self.tensors)
        check_targets(targets, sentences(batch), self.program.eos, vocabulary)
        self._check(batch, [len(target) + 1 for target in targets], None)
        return forced(self, batch, targets, options)

    def log_probabilities(
        self, batch: Batch, starts: Sequence[int], paths: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        """See `Engine.log_probabilities`."""
        vocabulary = vocabulary_size(self.program, self.tensors)
        check_paths(starts, paths, sentences(batch), vocabulary)
        self._check(batch, [len(path) for path in paths], None)
        return log_probabilities(self, batch, starts, paths)

    def _begun(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None,
        prefixes: Batch | None,
    ) -> Batch:
        """The prefix of each sentence of a request that can be answered."""
        vocabulary = vocabulary_size(self.program, self.tensors)
        first, steps = begun(sentences(batch), limits, prefixes, vocabulary)
        self._check(batch, steps, candidates)
        return first

    def _check(self, batch: Batch, steps: Sequence[int], candidates: Candidates | None) -> None:
        program, tensors = self.program, self.tensors
        self._target.check_length(max(steps, default=0))
        if candidates is not None:
            check_candidates(candidates, len(batch), vocabulary_size(program, tensors))


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


def ids_of_rows(ids: Sequence[int] | npt.NDArray[Any], rows: int) -> npt.NDArray[np.int32]:
    """What a step of a session is given: an integer for each row, else it raises ValueError."""
    found = np.asarray(ids)
    if found.shape != (rows,) or found.dtype.kind != "i":
        raise WrongValueError(f"{found.dtype} of shape {found.shape} as token ids of {rows} rows")
    clipped = np.clip(found, -(2**31), 2**31 - 1)  # which no vocabulary has: else 2^32 becomes 0
    return np.asarray(clipped, np.int32)


def places_of_rows(places: npt.NDArray[Any], rows: int) -> npt.NDArray[np.int64]:
    """What rows are selected by: integers in [0, rows), else it raises IndexError."""
    found = np.asarray(places)
    if found.ndim != 1 or (found.size and found.dtype.kind != "i"):
        raise OutOfRangeError(f"{found.dtype} of shape {found.shape} as numbers of rows")
    if found.size and (found.min() < 0 or found.max() >= rows):
        raise OutOfRangeError(f"numbers of rows must lie in [0, {rows})")
    return found.astype(np.int64, copy=False)


def target_inputs(ids: npt.NDArray[np.int32], position: int, sentence: npt.NDArray[Any]) -> Values:
    """The inputs of a decoder step: the token before it, its position, the sentence of each row."""
    return {
        "target.ids": ids,
        "target.positions": np.full(len(ids), position, np.int32),
        "target.sentence": sentence,
    }


def first_states(program: Program, rows: int) -> Values:
    """The states before the first step: zero, histories without a step."""
    shapes = {
        state.value: (rows, 0, state.width) if state.domain == "history" else (rows, state.width)
        for state in program.states
    }
    return {s.value: np.zeros(shapes[s.value], s.dtype) for s in program.states}


def source_inputs(batch: Batch, taken: bool) -> Values:
    """The encoder's inputs: sentences one after the other, without padding.

    Raises ValueError for a batch without sentences or a sentence without tokens; where no source is
    taken, for a sentence with any.
    """
    lengths = [len(sentence) for sentence in batch]
    if not lengths or (taken and 0 in lengths):
        raise WrongValueError("a batch needs sentences, and a sentence tokens")
    if not taken and any(lengths):
        raise WrongValueError("the program takes no source: its sentences must be empty")
    offsets = np.zeros(len(batch) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    sentence = np.repeat(np.arange(len(batch), dtype=np.int32), lengths)
    return {
        "source.ids": np.array(list(chain.from_iterable(batch)), np.int32),
        "source.positions": np.arange(len(sentence), dtype=np.int32) - offsets[sentence],
        "source.sentence": sentence,
        "source.offsets": offsets,
    }
