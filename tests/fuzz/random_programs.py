"""Random valid Programs: every operation, any types that fit, and shared tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from int8ref.program.program import (
    SOURCE_INPUTS,
    TARGET_INPUTS,
    Program,
    SourceFrame,
    State,
    takes_source,
)
from int8ref.program.sizes import embedding_sizes
from int8ref.reference import instructions
from int8ref.reference.append import Append
from int8ref.reference.log_softmax import MAX_MULTIPLIER, MAX_SHIFT, LogSoftmax
from int8ref.spec.instruction import Instruction, field_kinds
from int8ref.spec.scope import Facts, ProgramError, Scope, ValueType
from tests.fuzz.random_operands import POSITIONS, RandomOperands

WIDTHS = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 96, 130, 260]
MOST_INSTRUCTIONS = 14
ADVANCING = ["ssru", "match_add", "multiply", "lookup", "interpolate", "linear", "embed",
             "rms_norm_heads"]  # fmt: skip


BEFORE = {
    "match_add": "rescale",
    "rms_norm_branch": "rescale",
    "attention_softmax": "append",
    "attention_polynomial": "append",
}
"""Operations that often follow another one, because some of their operands need its results."""
LEAST_STEPS = 12
"""Steps that the searches of the fuzzer take at most."""
MOST_ENDS = 4
EMBEDDING, LABELS = "int8", "int32"


class UnfinishedError(Exception):
    """No instruction fits that the Program needs.  Another seed has one."""


class RandomProgram(RandomOperands):
    """One Program.

    program            the Program
    tensors            its tensors
    vocabulary         number of target ids
    source_vocabulary  number of source ids

    The class draws operands for an operation.  If the check of the operation rejects them, the
    class draws other operands.  Raises UnfinishedError.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed, WIDTHS)
        self.sequence: list[Instruction] = []
        self.waiting: list[State] = []
        self.source_vocabulary = 0
        self.values = dict(SOURCE_INPUTS)
        alone = self.chance(0.2)
        self.encoder = self._part() if alone or self.chance(0.7) else []
        if alone:
            self.program = self._finish_encoder()
        else:
            self.side, self.values = "target", {**self.values, **TARGET_INPUTS}
            self._begin_states()
            self.program = self._finish(self._part(must=["embed"]))
        used = {
            name
            for instruction in (*self.program.encoder, *self.program.decoder)
            for name in instruction.names("tensor")
        }
        self.tensors = {name: t for name, t in self.tensors.items() if name in used}

    def add(self, op: str, operands: Callable[[], dict[str, Any]] | None = None) -> bool:
        """Try to add an instruction.  Return whether this was possible.

        The default operands come from the method of the operation.  It is impossible if no operands
        fit, or if the operation's own check rejects them.
        """
        before = self._state()
        try:
            fields = (operands or getattr(self, op))()
            kind = instructions()[op]
            results = [name for name, role in field_kinds(kind) if role == "result"]
            names = {name: f"{self.side}{len(self.sequence)}.{name}" for name in results}
            instruction = kind(**{**names, **fields})
            instruction.check(Scope("random", self.values, Facts(self.tensors)))
        except (LookupError, ProgramError):
            self._restore(before)
            return False
        self.sequence.append(instruction)
        if isinstance(instruction, Append):  # others read only the history with this row
            del self.values[instruction.history]
        return True

    def _state(self) -> Any:
        return list(self.sequence), dict(self.values), dict(self.tensors), list(self.states)

    def _restore(self, state: Any) -> None:
        self.sequence, self.values, self.tensors, self.states = state

    def _part(self, must: Sequence[str] = ()) -> list[Instruction]:
        for op in must or (["embed"] if self.side == "source" else []):
            while not self.add(op):
                pass
        ops = sorted(instructions())
        if self.side == "source":
            ops.remove("append")
        for _ in range(int(self.random.integers(MOST_INSTRUCTIONS))):
            op = self.one_of(ops)
            if op in BEFORE and BEFORE[op] in ops and self.chance(0.5):
                self.add(BEFORE[op])
            self.add(op)
            if self.waiting and self.chance(0.2):
                self._advance(self.waiting.pop())
        taken, self.sequence = self.sequence, []
        return taken

    def _begin_states(self) -> None:
        for index in range(int(self.random.integers(4))):
            dtype = self.one_of(["int16", "int16", "int8", "int32"])
            state = State(f"state{index}", f"state{index}.next", dtype, self.one_of(self.widths))
            self.waiting.append(state)
            self.values[state.value] = ValueType("target", state.dtype, state.width)

    def _advance(self, state: State) -> None:
        """Compute the successor of a state.  Raises UnfinishedError if no instruction fits."""
        wanted = self.values[state.value]
        for _ in range(300):
            before = self._state()
            if not self.add(self.one_of(ADVANCING)):
                continue
            made = self.sequence[-1]
            fits = [name for name in made.names("result") if self.values[name] == wanted]
            if fits and (made.in_place or state.value not in made.names("value")):
                self.states.append(State(state.value, fits[0], state.dtype, state.width))
                del self.values[state.value]
                return
            self._restore(before)
        raise UnfinishedError

    def _finish(self, decoder: list[Instruction]) -> Program:
        self.sequence = decoder
        while self.waiting:
            self._advance(self.waiting.pop())
        if not any(self.add("linear", lambda: self.linear(self.vocabulary)) for _ in range(100)):
            raise UnfinishedError
        logits = self.sequence[-1].names("result")[0]
        ends = self._tokens(self.vocabulary, self.number(1, min(MOST_ENDS, self.vocabulary - 1)))
        others = sorted({*range(self.vocabulary)} - {*ends})
        prefix = tuple(self.one_of(others) for _ in range(self.number(0, 2)))
        program = Program(
            encoder=self.encoder,
            decoder=self.sequence,
            states=self.states,
            logits=logits,
            log_softmax=self._log_softmax(logits),
            start=self.number(-1, self.vocabulary - 1),
            eos=ends[0],
            unk=self.number(0, self.vocabulary - 1),
            max_source_length=0,
            max_length_factor=0,
            alpha=self.number(0, 1000),
            more_eos=tuple(ends[1:]) or UNSET,
            target_prefix=prefix or UNSET,
            max_steps=self.one_of([UNSET, self.number(LEAST_STEPS, POSITIONS)]),
        )
        if not takes_source(program):
            return program
        program = replace(program, max_length_factor=self.number(1, 300))
        return self._framed(program)

    def _finish_encoder(self) -> Program:
        """An encoder alone: its output is an embedding, or the logits of labels."""
        self.sequence, kind = self.encoder, self.one_of([EMBEDDING, LABELS])
        output = self._embedding() if kind == EMBEDDING else self._labels()
        program = Program(
            encoder=self.sequence,
            decoder=[],
            states=[],
            logits=output if kind == LABELS else "",
            log_softmax=self._log_softmax(output) if kind == LABELS else UNSET,
            start=-1,
            eos=0,
            unk=0,
            max_source_length=0,
            max_length_factor=0,
            output=output,
        )
        return self._framed(program)

    def _embedding(self) -> str:
        """The name of an int8 row for each sentence.  Raises UnfinishedError."""
        for _ in range(300):
            try:
                return self.value("int8", domain="sentence")
            except LookupError:
                self.add(self.one_of(["pool", "normalize", "linear", "multiply", "narrow"]))
        raise UnfinishedError

    def _labels(self) -> str:
        """The name of the logits of labels.  Raises UnfinishedError."""
        self._embedding()
        for _ in range(100):
            if self.add("linear", lambda: self.linear(self.vocabulary, "sentence")):
                return self.sequence[-1].names("result")[0]
        raise UnfinishedError

    def _log_softmax(self, logits: str) -> LogSoftmax:
        factor = {"multiplier": self.number(1, MAX_MULTIPLIER), "shift": self.number(0, MAX_SHIFT)}
        return LogSoftmax(x=logits, out="log_softmax", **factor, **self.cap())

    def _tokens(self, vocabulary: int, count: int) -> list[int]:
        """Different token ids."""
        return [int(t) for t in self.random.choice(vocabulary, count, replace=False)]

    def _framed(self, program: Program) -> Program:
        """The Program with a frame of its sources, and their largest length."""
        tensors = {n: self.tensors[n] for i in program.encoder for n in i.names("tensor")}
        tensors |= {n: self.tensors[n] for i in program.decoder for n in i.names("tensor")}
        sizes = embedding_sizes(program, tensors, "source")
        self.source_vocabulary = min(sizes, default=self.vocabulary)
        before, after = (
            tuple(self.number(0, self.source_vocabulary - 1) for _ in range(self.number(0, 2)))
            for _ in range(2)
        )
        frame = SourceFrame(before, after)
        length = self.number(frame.size + 1, POSITIONS)
        return replace(program, source_frame=frame, max_source_length=length)
