"""A Program: an encoder and one decoder step, as typed instructions over named values.

    source ids ─► encoder ─► memory ─┐
    target ids, states ─► decoder step ─► logits, next states

A decoder alone is a Program too.  It has no encoder and reads no input of the source.  An encoder
alone is a Program too.  It gives one row for each sentence:

    source ids ─► encoder ─► output [sentences, width]

A Program holds names and constants.  The model file holds the tensors with these names.  A Program
can execute only the operations of `int8ref.reference`.  Before the first run, `validate` proves
that every operand exists, that its type and shape are right, and that no accumulator overflows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Union

import msgspec

from int8ref.program.languages import Languages
from int8ref.program.source_frame import SourceFrame as SourceFrame
from int8ref.reference import instructions
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import DType, ProgramError, ValueType
from int8ref.spec.scope import Tensors as Tensors

if TYPE_CHECKING:
    AnyInstruction = Instruction
else:
    AnyInstruction = Union[tuple(instructions().values())]  # noqa: UP007 - known at run time only


SOURCE_INPUTS = {
    "source.ids": ValueType("source", "int32", 0),
    "source.positions": ValueType("source", "int32", 0),
    "source.sentence": ValueType("source", "int32", 0),
    "source.offsets": ValueType("sentence", "int32", 0),
}
"""Inputs of the encoder:

source.ids        token ids
source.positions  positions in the sentence
source.sentence   index of the sentence
source.offsets    first row of each sentence, and the number of rows as a last entry
"""

TARGET_INPUTS = {
    "target.ids": ValueType("target", "int32", 0),
    "target.positions": ValueType("target", "int32", 0),
    "target.sentence": ValueType("target", "int32", 0),
}
"""Inputs of a decoder step: the previous token (at first the start), its position, its sentence."""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that the decoder carries from step to step.

    A state of the domain `target` is zero at first.  A `history` is empty at first, and an `append`
    adds one row to it in every step.
    """

    value: str
    next_value: str
    dtype: DType
    width: int
    domain: Literal["target", "history"] = "target"


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Encoder, decoder step, and the constants of generation.

    encoder            instructions that run once for a source
    decoder            instructions of one step
    states             values that the decoder carries from step to step
    logits             name of the value of the logits
    log_softmax        turns the logits into log-probabilities, for searches that need them
    start              token id before the first target token; -1 is the zero vector
    eos                token id that ends a sentence; scores of a given text have this one
    unk                token id of text outside the vocabulary
    max_source_length  largest number of source tokens, with their frame
    max_length_factor  a translation has at most max_length_factor / 100 tokens per source token
    max_steps          largest number of decoder steps, at most the number of positions; unset: 1024
    alpha              default exponent of the length penalty, in hundredths (`search.length`)
    source_frame       tokens around every source; unset: eos after them
    target_prefix      tokens that begin every translation the model was trained on; unset: none
    more_eos           more token ids that end a sentence; unset: none
    languages          languages that a run chooses, with their tokens; unset: one pair of languages
    output             name of the value that an encoder alone gives, with one row for each
                       sentence; unset: the Program has a decoder

    A Program without a source (see `takes_source`) has max_source_length = max_length_factor = 0.
    An encoder alone has no decoder, no states, start = -1 and max_length_factor = 0.  If its output
    is int8, the output is an embedding, `logits` is empty and `log_softmax` is unset.  If its
    output is int32, the output is the logits of labels, and `logits` names it too.
    A search produces the tokens of `target_prefix` itself.  Scoring adds them before a given
    translation.
    """

    encoder: list[AnyInstruction]
    decoder: list[AnyInstruction]
    states: list[State]
    logits: str
    log_softmax: LogSoftmax | msgspec.UnsetType = msgspec.UNSET
    start: int
    eos: int
    unk: int
    max_source_length: int
    max_length_factor: int
    alpha: int = 100
    source_frame: SourceFrame | msgspec.UnsetType = msgspec.UNSET
    target_prefix: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    more_eos: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    languages: Languages | msgspec.UnsetType = msgspec.UNSET
    output: str | msgspec.UnsetType = msgspec.UNSET
    max_steps: int | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        counts = f"{len(self.encoder)} of the encoder, {len(self.decoder)} of the decoder"
        return f"<Program, instructions: {counts}; states: {len(self.states)}>"

    @property
    def encodes(self) -> bool:
        """Whether it is an encoder alone."""
        return isinstance(self.output, str)

    @property
    def softmax(self) -> LogSoftmax:
        """The instruction of the log-probabilities, which every Program with logits has."""
        assert isinstance(self.log_softmax, LogSoftmax)
        return self.log_softmax

    @property
    def prefix(self) -> tuple[int, ...]:
        """The tokens that scoring adds before a given translation."""
        return self.target_prefix if isinstance(self.target_prefix, tuple) else ()

    @property
    def ends(self) -> tuple[int, ...]:
        """All token ids that end a sentence, `eos` first."""
        return (self.eos, *self.more_eos) if isinstance(self.more_eos, tuple) else (self.eos,)

    @property
    def frame(self) -> SourceFrame:
        """The tokens around every source."""
        if isinstance(self.source_frame, SourceFrame):
            return self.source_frame
        return SourceFrame(after=(self.eos,))


def encode(program: Program) -> bytes:
    """The Program as JSON."""
    return msgspec.json.encode(program)


def decode(text: bytes | str) -> Program:
    """A Program from JSON.  Raises ProgramError if the text is not exactly one Program."""
    try:
        return msgspec.json.decode(text, type=Program)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProgramError(f"not a valid program: {error}") from None


def takes_source(program: Program) -> bool:
    """Whether any instruction reads an input of the source; a decoder alone reads none."""
    sequences = (*program.encoder, *program.decoder)
    return any(name in SOURCE_INPUTS for i in sequences for name in i.names("value"))
