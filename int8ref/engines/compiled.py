"""The compiled backend behind the `Engine` interface."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from int8ref.abi import call as word
from int8ref.abi.frame import CODE_WORDS, FRAME_WORDS
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.memory.hypotheses import Hypotheses
from int8ref.machine.model import packed
from int8ref.machine.model.assemble import Code, assemble, row_bytes
from int8ref.machine.model.prepare import Prepared
from int8ref.machine.model.split import Footprint
from int8ref.machine.toolchain.native import machine
from int8ref.program.bounds import Bounds
from int8ref.program.inputs import Batch, Observer, ids_of_rows, places_of_rows
from int8ref.program.program import Program, Tensors
from int8ref.program.sizes import max_steps, vocabulary_size
from int8ref.program.validate import Checked, validate
from int8ref.reference.attention import MAX_KEYS
from int8ref.search.candidates import Candidates, check_candidates
from int8ref.search.forced import check_paths, check_targets, forced
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling, check_limits, sentences
from int8ref.search.length import penalties
from int8ref.search.prefixes import begun
from int8ref.search.sampling import numbered, random_numbers, scaled

Int64 = npt.NDArray[np.int64]

KEPT_BYTES = 8 << 20
"""Most memory that each call running at once leaves to a later one."""


class CompiledEngine:
    """Runs a Program as native code.  Immutable; every call has an arena of its own.

    `types` are those of `program.validate`, which is called where they are not given.  `digest`, if
    given, tells what the tensors are: what is packed of them is kept in the cache under it, in
    place of what a model of the same name had there before.
    """

    def __init__(
        self,
        program: Program,
        tensors: Tensors,
        types: Checked | None = None,
        digest: str | None = None,
        name: str = "model",
    ) -> None:
        self.program = program
        checked = types or validate(program, tensors)
        self._types = checked.encoder | checked.decoder
        self._source = Bounds.of(program, tensors, "source", MAX_KEYS)
        self._target = Bounds.of(program, tensors, "target", max_steps(program, tensors))
        self._vocabulary = vocabulary_size(program, tensors)
        self._footprint = Footprint.of(program, tensors, row_bytes(program, self._types))
        machine()
        kept = packed.weights(program, tensors, digest, name) if digest else {}
        self._prepared = Prepared(tensors, self._types, kept)
        self._codes: dict[tuple[bool, bool, bool], Code] = {}
        self._decodings: dict[tuple[bool, bool], tuple[Code, list[int]]] = {}
        self._memories: list[Memory] = []
        self._lock = threading.Lock()

    def code(
        self, keep_values: bool = False, plain_head: bool = False, coarse_head: bool = False
    ) -> Code:
        """See `assemble`; what is assembled is kept.  A greedy search over the whole vocabulary
        runs that with `coarse_head`."""
        kind = keep_values, plain_head, coarse_head
        with self._lock:
            if kind not in self._codes:
                self._codes[kind] = assemble(self.program, self._types, self._prepared, *kind)
            return self._codes[kind]

    def session(self, batch: Batch, observe: Observer | None = None) -> CompiledSession:
        """See `Engine.session`."""
        sentences(batch)
        self._source.check_sources(batch)
        code = self.code(keep_values=observe is not None)
        return CompiledSession(self.program, code, self._target, batch, observe)

    def greedy(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """See `Engine.greedy`."""
        first, steps = begun(sentences(batch), limits, prefixes, self._vocabulary)
        found: list[list[int]] = []
        for part, sources, most, own in self._parts(batch, steps, candidates, 1):
            found += self._greedy(sources, most, own, limits[part], first[part])
        return found

    def _greedy(
        self,
        batch: Batch,
        steps: Sequence[int],
        candidates: Candidates | None,
        limits: Sequence[int],
        prefixes: Batch,
    ) -> list[list[int]]:
        with self._memory() as memory:
            call = self._call(word.GREEDY, memory, batch, steps, 1, candidates)
            return call.follow(limits, prefixes, max(steps, default=0))

    def sample(
        self,
        batch: Batch,
        limits: Sequence[int],
        sampling: Sampling,
        texts: Sequence[int] | None = None,
        prefixes: Batch | None = None,
    ) -> list[list[int]]:
        """See `Engine.sample`."""
        first, steps = begun(sentences(batch), limits, prefixes, self._vocabulary)
        numbers = numbered(texts, len(batch))
        found: list[list[int]] = []
        for part, sources, most, _ in self._parts(batch, steps, None, 1):
            found += self._sample(sources, most, sampling, numbers[part], limits[part], first[part])
        return found

    def _sample(
        self,
        batch: Batch,
        steps: Sequence[int],
        sampling: Sampling,
        texts: Sequence[int],
        limits: Sequence[int],
        prefixes: Batch,
    ) -> list[list[int]]:
        with self._memory() as memory:
            call = self._call(word.SAMPLE, memory, batch, steps, 1)
            random = random_numbers(sampling.seed, texts, max(steps, default=0))
            call.room(word.RANDOM, random.shape)[...] = random
            call.room(word.WEIGHTS, (self._vocabulary,), np.int64)
            factors = scaled(self.program.log_softmax, sampling.temperature)
            call.words[[word.MULTIPLIER, word.SHIFT]] = factors
            call.words[[word.TOP_K, word.TOP_P]] = sampling.top_k, sampling.top_p
            return call.follow(limits, prefixes, max(steps, default=0))

    def beam(
        self,
        batch: Batch,
        limits: Sequence[int],
        options: BeamOptions,
        candidates: Candidates | None = None,
    ) -> list[list[Hypothesis]]:
        """See `Engine.beam`."""
        check_limits(limits, sentences(batch))
        found: list[list[Hypothesis]] = []
        for _, sources, most, own in self._parts(batch, limits, candidates, options.beam_size):
            found += self._beam(sources, most, own, options)
        return found

    def _beam(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None,
        options: BeamOptions,
    ) -> list[list[Hypothesis]]:
        with self._memory() as memory:
            call = self._call(word.BEAM, memory, batch, limits, options.beam_size, candidates)
            hypotheses = Hypotheses(memory, limits, self._vocabulary, options)
            call.words[word.HYPOTHESES] = hypotheses.address
            call.give(word.LIMITS, limits)
            call.give(word.PENALTIES, penalties(options, max(limits)), np.int64)
            call.words[[word.BEAM_SIZE, word.N_BEST]] = options.beam_size, options.n_best
            call.run()
            return hypotheses.best()

    def score(
        self, batch: Batch, targets: Sequence[Sequence[int]], options: BeamOptions
    ) -> list[Hypothesis]:
        """See `Engine.score`."""
        check_targets(targets, sentences(batch), self.program.eos, self._vocabulary)
        return forced(self, batch, targets, options)

    def log_probabilities(
        self, batch: Batch, starts: Sequence[int], paths: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        """See `Engine.log_probabilities`."""
        check_paths(starts, paths, sentences(batch), self._vocabulary)
        self._target.check_ids(starts)
        parts = self._footprint.split(batch, [len(path) for path in paths], 1)
        return [
            found
            for part in parts
            for found in self._log_probabilities(batch[part], starts[part], paths[part])
        ]

    def _log_probabilities(
        self, batch: Batch, starts: Sequence[int], paths: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        lengths = [len(path) for path in paths]
        with self._memory() as memory:
            call = self._call(word.SCORE, memory, batch, lengths, 1)
            shape = len(batch), max(lengths)
            call.give_rows(paths, shape)
            call.give(word.STARTS, starts)
            call.give(word.LENGTHS, lengths)
            found = call.room(word.OUT, shape)
            call.run()
            return _rows(found, lengths)

    def _parts(
        self,
        batch: Batch,
        limits: Sequence[int],
        candidates: Candidates | None,
        beam_size: int,
    ) -> Iterator[tuple[slice, Batch, Sequence[int], Candidates | None]]:
        """What is decoded in one call after another (see `split`): which sentences, and what is
        theirs."""
        if candidates is not None:
            check_candidates(candidates, len(batch), self._vocabulary)
        for part in self._footprint.split(batch, limits, beam_size):
            own = None if candidates is None else candidates[part]
            yield part, batch[part], limits[part], own

    @contextmanager
    def _memory(self) -> Iterator[Memory]:
        """Memory for one call, of which some is kept for the next."""
        try:
            memory = self._memories.pop()
        except IndexError:
            memory = Memory()
        yield memory
        memory.clear(KEPT_BYTES)
        self._memories.append(memory)

    def _call(
        self,
        mode: int,
        memory: Memory,
        batch: Batch,
        limits: Sequence[int],
        rows: int,
        candidates: Candidates | None = None,
    ) -> Call:
        """A call that decodes a batch, with so many rows a sentence, up to the limits."""
        self._source.check_sources(batch)
        most = max(limits, default=0)
        self._target.check_length(most)
        fused = mode == word.GREEDY and candidates is None
        code, words = self._decoding(candidates is not None, fused)
        arena = Arena(code, memory, batch, target_rows=rows * len(batch), max_steps=max(1, most))
        call = Call(mode, memory, arena.address)
        call.words[word.CODE : word.SHIFT + 1] = words
        call.words[word.PITCH] = most
        call.give(word.STARTS, [self.program.start] * len(batch))
        call.room(word.HEAD, (FRAME_WORDS + CODE_WORDS,), np.int64)
        if candidates is not None:
            call.give(word.CANDIDATES, np.concatenate(candidates))
            call.give(word.OFFSETS, [0, *accumulate(map(len, candidates))])
        return call

    def _decoding(self, candidates: bool, fused: bool) -> tuple[Code, list[int]]:
        """The code that decodes, and the words of a call that tell of it: from CODE to SHIFT."""
        if (candidates, fused) not in self._decodings:
            code = self.code(plain_head=candidates, coarse_head=fused)
            parts = code.encoder, code.choice if fused else code.decoder, code.states
            places = [number for part in parts for number in (part.ctypes.data, len(part))]
            softmax = self.program.log_softmax
            constants = [self.program.eos, softmax.multiplier, softmax.shift]
            words = [*places, code.targets.ctypes.data, *constants]
            self._decodings[candidates, fused] = code, words
        return self._decodings[candidates, fused]


def _rows(found: npt.NDArray[np.int32], lengths: Iterable[int]) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(found, lengths, strict=True)]


class Call:
    """The words of a call, and the arrays whose addresses are among them."""

    def __init__(self, mode: int, memory: Memory, frame: int) -> None:
        self._memory = memory
        self.words, self._address = memory.array((word.CALL_WORDS,), np.int64)
        self.words[...] = 0
        self.words[[word.MODE, word.FRAME]] = mode, frame

    def room(
        self, name: int, shape: tuple[int, ...], kind: npt.DTypeLike = np.int32
    ) -> npt.NDArray[Any]:
        """Room, for results or not."""
        array, self.words[name] = self._memory.array(shape, kind)
        return array

    def give(
        self, name: int, values: Sequence[int] | npt.NDArray[Any], kind: npt.DTypeLike = np.int32
    ) -> None:
        """Hand over a vector."""
        self.room(name, (len(values),), kind)[...] = values

    def give_rows(self, rows: Batch, shape: tuple[int, int]) -> None:
        """Hand over the tokens that are given, a row a sentence."""
        given = self.room(word.GIVEN, shape)
        for row, tokens in zip(given, rows, strict=True):
            row[: len(tokens)] = tokens

    def follow(self, limits: Sequence[int], prefixes: Batch, most: int) -> list[list[int]]:
        """Let the machine follow one token after another, at most so many steps: what it found
        after the prefixes."""
        shape = len(limits), most
        out, lengths = self.room(word.OUT, shape), self.room(word.LENGTHS, shape[:1])
        self.give(word.LIMITS, limits)
        self.give_rows(prefixes, shape)
        self.give(word.GIVEN_LENGTHS, [len(prefix) for prefix in prefixes])
        self.run()
        return _rows(out, lengths)

    def run(self) -> None:
        """Let the machine do it."""
        machine()(self._address)


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
        memory = Memory()
        rows = max(len(batch), 1)
        self._arena = Arena(code, memory, batch, target_rows=rows, max_steps=0)
        self._call = Call(word.RUN, memory, self._arena.address)
        self._sentence = np.arange(len(batch), dtype=np.int32)
        self._position = 0
        self._run(code.encoder)
        self._report(program.encoder)
        for state in program.states:
            self._arena.value(state.value, self._rows)[...] = 0

    def step(self, ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """See `Session.step`."""
        ids = ids_of_rows(ids, len(self._sentence))
        self._bounds.check_ids(ids)
        self._bounds.check_length(self._position + 1, "a translation")
        arena, rows = self._arena, len(self._sentence)
        arena.set_rows("target", rows)
        arena.reserve_steps(self._position + 1)
        arena.set_rows("history", self._position + 1)
        arena.value("target.ids", rows)[...] = ids
        arena.value("target.positions", rows)[...] = self._position
        arena.value("target.sentence", rows)[...] = self._sentence
        self._run(self._code.decoder)
        self._report(self._program.decoder)
        self._position += 1
        return arena.value(self._program.logits, rows).copy()

    def select(self, rows: npt.NDArray[np.int64]) -> None:
        """See `Session.select`."""
        rows = places_of_rows(rows, len(self._sentence))
        states = {
            s.value: self._arena.value(s.value, len(self._sentence))[rows].copy()
            for s in self._program.states
        }
        self._sentence = self._sentence[rows]
        self._arena.reserve_targets(len(rows))
        for name, state in states.items():
            self._arena.value(name, len(rows))[...] = state

    def _run(self, code: Int64) -> None:
        self._call.words[[word.CODE, word.CODE_ROWS]] = code.ctypes.data, len(code)
        self._call.run()

    def _report(self, sequence: Sequence[Any]) -> None:
        if self._observe is None:
            return
        for instruction in sequence:
            for name in instruction.names("result"):
                self._observe(name, self._arena.value(name).copy())
