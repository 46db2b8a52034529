"""The compiled backend behind the `Engine` interface."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from int8ref.abi.call import BEAM, GREEDY, RUN, SAMPLE, SCORE
from int8ref.abi.frame import CODE_BYTES, FRAME
from int8ref.engines.calls import Call
from int8ref.engines.compiled_session import CompiledSession
from int8ref.engines.cores import Cores, Team
from int8ref.engines.given_steps import GivenSteps
from int8ref.machine.memory import adjustments
from int8ref.machine.memory.aligned import Memory
from int8ref.machine.memory.arena import Arena
from int8ref.machine.memory.hypotheses import Hypotheses
from int8ref.machine.model import packed
from int8ref.machine.model.assemble import Code, assemble, shared_rows
from int8ref.machine.model.places import places_of
from int8ref.machine.model.prepare import Prepared, linears
from int8ref.machine.model.split import Footprint
from int8ref.machine.toolchain.native import machine
from int8ref.program.bounds import Bounds
from int8ref.program.inputs import Batch, Observer
from int8ref.program.program import Program, Tensors
from int8ref.program.sizes import max_steps, most_source_length, vocabulary_size
from int8ref.program.validate import Checked, validate
from int8ref.search.adjustments import Adjustments
from int8ref.search.checks import check_batch, check_decodes, check_encodes
from int8ref.search.decoder import Piece, step_by_step
from int8ref.search.hypothesis import BeamOptions, Hypothesis, Sampling
from int8ref.search.length import penalties
from int8ref.search.request import Path, Record, Request, check_no_candidates, check_records
from int8ref.search.sampling import random_numbers, scaled

Found = TypeVar("Found")

BLOCK_ROWS = 128
"""Largest number of steps that the decoder runs at once as rows, for tokens that are given."""
LOGITS_BYTES = 16 << 20
"""Largest memory for the logits of such rows, if it has room for LEAST_ROWS rows."""
LEAST_ROWS = 16
LEAST_WEIGHTS = 4 << 20
"""Least size of the weights of a model whose calls run in several threads."""
KEPT_BYTES = 32 << 20
"""Largest memory that a call leaves for the next call."""


class CompiledEngine:
    """Runs a Program as native code.  The engine is immutable, and every call has its own arena.

    `types` is the result of `program.validate`; without it, the engine calls `validate`.  `digest`,
    if there is one, identifies the tensors.  With a digest, the engine stores packed weights in the
    cache under the digest, and they replace the weights of an older model with the same `name`.
    The calls of an engine share `threads` cores (`cores`).
    """

    def __init__(
        self,
        program: Program,
        tensors: Tensors,
        types: Checked | None = None,
        digest: str | None = None,
        name: str = "model",
        threads: int = 1,
    ) -> None:
        self.program = program
        checked = types or validate(program, tensors)
        self._types = checked.encoder | checked.decoder
        self._source = Bounds.of(program, tensors, "source", most_source_length(program))
        self._target = Bounds.of(program, tensors, "target", max_steps(program, tensors))
        self.vocabulary = vocabulary_size(program, tensors)
        self.max_steps = max_steps(program, tensors)
        self.footprint = Footprint.of(program, tensors, places_of(program, self._types).row_bytes)
        large = sum(tensors[i.weight].nbytes for i in linears(program)) >= LEAST_WEIGHTS
        self.cores = Cores(threads if large else 1)
        machine()
        kept = packed.weights(program, tensors, digest, name) if digest else {}
        self._prepared = Prepared(tensors, self._types, kept)
        self._codes: dict[tuple[bool, bool, bool], Code] = {}
        self._decodings: dict[tuple[bool, bool], tuple[Code, dict[str, int]]] = {}
        self._memories: list[Memory] = []
        self._lock = threading.Lock()
        self._shared_rows = shared_rows(program)

    @property
    def threads_of_a_call(self) -> int:
        """See `Engine.threads_of_a_call`."""
        return self.cores.most

    def __repr__(self) -> str:
        return f"<CompiledEngine of {self.program}>"

    def code(
        self, keep_values: bool = False, plain_head: bool = False, coarse_head: bool = False
    ) -> Code:
        """The code of these options (see `assemble`), assembled once.

        A greedy search over the whole vocabulary runs the code with `coarse_head`.
        """
        kind = keep_values, plain_head, coarse_head
        with self._lock:
            if kind not in self._codes:
                self._codes[kind] = assemble(self.program, self._types, self._prepared, *kind)
            return self._codes[kind]

    def session(self, batch: Batch, observe: Observer | None = None) -> CompiledSession:
        """See `Engine.session`."""
        check_batch(batch)
        self._source.check_sources(batch)
        code = self.code(keep_values=observe is not None)
        return CompiledSession(self.program, code, self._target, batch, observe)

    def outputs(self, batch: Batch) -> npt.NDArray[Any]:
        """See `Engine.outputs`."""
        check_batch(batch)
        check_encodes(self.program)
        self._source.check_sources(batch)
        return np.concatenate([self._outputs(part) for part in self.footprint.parts(batch)])

    def _outputs(self, batch: Batch) -> npt.NDArray[Any]:
        code = self.code()
        with self._memory() as memory, self.cores.team() as team:
            arena = Arena(code, memory, batch, slots=1, max_steps=0)
            call = Call(RUN, memory, arena.address)
            call.help(arena, team)
            call.set(code=code.encoder.ctypes.data, code_rows=len(code.encoder))
            call.run()
            return arena.value(str(self.program.output)).copy()

    def greedy(self, requests: Sequence[Request], rows: int | None = None) -> list[list[int]]:
        """See `Engine.greedy`."""
        return self._decode(GREEDY, Request, requests, Call.follow, rows=rows)

    def sample(
        self, requests: Sequence[Request], sampling: Sampling, rows: int | None = None
    ) -> list[list[int]]:
        """See `Engine.sample`."""
        draw = partial(self._sample, sampling=sampling)
        return self._decode(SAMPLE, Request, requests, draw, rows=rows)

    def beam(self, requests: Sequence[Request], options: BeamOptions) -> list[list[Hypothesis]]:
        """See `Engine.beam`."""
        search = partial(self._beam, options=options)
        return self._decode(BEAM, Request, requests, search, options.beam_size)

    def log_probabilities(self, paths: Sequence[Path]) -> list[list[int]]:
        """See `Engine.log_probabilities`."""
        return self._decode(SCORE, Path, paths, Call.score)

    def logits(self, paths: Sequence[Path]) -> Iterator[Piece]:
        """See `Engine.logits`."""
        check_decodes(self.program)
        check_records(Path, paths, self.vocabulary)
        return self._logits(paths) if self._shared_rows else step_by_step(self, paths)

    def _logits(self, paths: Sequence[Path]) -> Iterator[Piece]:
        """The logits of paths, whose steps run in blocks of rows (see `split`)."""
        done = 0
        for part in self.footprint.split(paths, 1):
            given = GivenSteps(part)
            self._source.check_sources(given.sources)
            self._target.check_ids(given.ids)
            self._target.check_length(given.most)
            rows = min(BLOCK_ROWS, max(LEAST_ROWS, LOGITS_BYTES // (4 * self.vocabulary)))
            with self._memory() as memory:
                for place, first, found in given.run(self.program, self.code(), memory, rows):
                    yield done + place, first, found
            done += len(part)

    def _decode(
        self,
        mode: int,
        kind: type[Record],
        records: Sequence[Record],
        run: Callable[[Call, Sequence[Record]], list[Found]],
        beam_size: int = 1,
        rows: int | None = None,
    ) -> list[Found]:
        """Decode the records.  Returns one result for each record.

        A call decodes a part of the records (see `split`).  With `rows`, one call decodes all of
        them, at most `rows` at once, if the decoder can take them up one by one.
        """
        check_decodes(self.program)
        check_records(kind, records, self.vocabulary)
        found: list[Found] = []
        if rows is not None and self._shared_rows:
            slots = min(rows, self.footprint.sentences(records), max(1, len(records)))
            with self._memory() as memory, self.cores.team() as team:
                return run(self._call(mode, memory, records, slots, team), records)
        for part in self.footprint.split(records, beam_size):
            with self._memory() as memory, self.cores.team() as team:
                found += run(self._call(mode, memory, part, beam_size * len(part), team), part)
        return found

    def _sample(
        self, call: Call, requests: Sequence[Request], sampling: Sampling
    ) -> list[list[int]]:
        check_no_candidates(requests)
        random = random_numbers(sampling.seed, [r.number for r in requests], call.steps)
        call.room("random", random.shape)[...] = random
        self.give_sampling(call, sampling)
        return call.follow(requests)

    def give_sampling(self, call: Call, sampling: Sampling) -> None:
        """Write the fields of a call that say how to draw, without the random numbers."""
        call.room("weights", (self.vocabulary,), np.int64)
        multiplier, shift = scaled(self.program.softmax, sampling.temperature)
        call.set(multiplier=multiplier, shift=shift, top_k=sampling.top_k, top_p=sampling.top_p)
        call.set(min_p=sampling.min_p)

    def _beam(
        self, call: Call, requests: Sequence[Request], options: BeamOptions
    ) -> list[list[Hypothesis]]:
        limits = [request.limit for request in requests]
        call.give("penalties", penalties(options, max(limits, default=0)), np.int64)
        hypotheses = Hypotheses(call.memory, limits, self.vocabulary, options)
        call.set(hypotheses=hypotheses.address, beam_size=options.beam_size, n_best=options.n_best)
        call.search(requests)
        return hypotheses.best()

    @contextmanager
    def _memory(self) -> Iterator[Memory]:
        """Memory for one call; the next call may use it again."""
        try:
            memory = self._memories.pop()
        except IndexError:
            memory = Memory()
        yield memory
        memory.clear(KEPT_BYTES)
        self._memories.append(memory)

    def _call(
        self, mode: int, memory: Memory, records: Sequence[Record], slots: int, team: Team
    ) -> Call:
        """A call that decodes a batch, with room for the histories of `slots` rows."""
        batch = [record.ids for record in records]
        steps = max((record.steps for record in records), default=0)
        self._source.check_sources(batch)
        self._target.check_length(steps)
        candidates: list[npt.NDArray[np.int32]] = self._candidates(records)
        adjusted = [getattr(record, "adjustments", None) for record in records]
        fused = mode == GREEDY and not candidates and not any(adjusted)
        code, fields = self.decoding(bool(candidates), fused)
        block = 0
        if code.shared_rows:
            given = sum(len(record.given) for record in records)
            block = max(1, min(BLOCK_ROWS, given))
        arena = Arena(code, memory, batch, slots, max(1, steps), slots + block)
        call = Call(mode, memory, arena.address, steps)
        call.set(block=block, free_count=slots, **fields)
        starts = [getattr(record, "start", self.program.start) for record in records]
        self.give_surroundings(call, slots, starts)
        if candidates:
            call.give("candidates", np.concatenate(candidates))
            call.give("offsets", [0, *accumulate(map(len, candidates))])
        if any(adjusted):
            self._adjust(call, adjusted, steps, slots)
        call.help(arena, team)
        return call

    def _adjust(
        self, call: Call, adjusted: Sequence[Adjustments | None], steps: int, slots: int
    ) -> None:
        """Give a call the adjustments of its sentences."""
        softmax, ends, size = self.program.softmax, self.program.ends, self.vocabulary
        call.set(
            adjustments=adjustments.records(call.memory, adjusted, softmax, ends, size),
            stage=adjustments.stage(call.memory, size, steps, slots),
        )

    def give_surroundings(self, call: Call, slots: int, starts: Sequence[int]) -> None:
        """Write the fields of a call for its slots, and for the first and last tokens of texts."""
        self._target.check_ids(starts)
        call.give("free", range(slots)[::-1])
        call.room("slot_of", (len(starts),))
        call.give("starts", starts)
        call.give("ends", self.program.ends)
        call.set(end_count=len(self.program.ends))
        call.room("head", (FRAME.itemsize + CODE_BYTES,), np.uint8)

    def _candidates(self, records: Sequence[Record]) -> list[npt.NDArray[np.int32]]:
        """The candidates of each sentence; an empty list if no sentence has candidates."""
        found = [getattr(record, "candidates", None) for record in records]
        if all(tokens is None for tokens in found):
            return []
        every = np.arange(self.vocabulary, dtype=np.int32)
        return [every if tokens is None else tokens for tokens in found]

    @property
    def takes_up_texts(self) -> bool:
        """Whether texts can enter a running batch: no encoder, and no state but histories."""
        return self._shared_rows > 0 and not self.program.encoder

    def decoding(self, candidates: bool, fused: bool) -> tuple[Code, dict[str, int]]:
        """The code for decoding, and the fields of a call that describe the code."""
        if (candidates, fused) not in self._decodings:
            code = self.code(plain_head=candidates, coarse_head=fused)
            decoder = code.greedy_decoder if fused else code.decoder
            softmax = self.program.softmax
            fields = {
                "code": code.encoder.ctypes.data,
                "code_rows": len(code.encoder),
                "decoder": decoder.ctypes.data,
                "decoder_rows": len(decoder),
                "shared_rows": code.shared_rows,
                "states": code.states.ctypes.data,
                "state_rows": len(code.states),
                "targets": code.targets.ctypes.data,
                "multiplier": softmax.multiplier,
                "shift": softmax.shift,
            }
            if softmax.cap is not None:
                fields |= zip(("cap_multiplier", "cap_shift"), softmax.cap, strict=True)
            self._decodings[candidates, fused] = code, fields
        return self._decodings[candidates, fused]
