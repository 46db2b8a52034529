"""A Program: what an encoder and one decoder step compute, as typed instructions over values.

    source ids ─► encoder ─► memory ─┐
    target ids, states ─► decoder step ─► logits, next states

A decoder alone is a Program too: without an encoder, and without any input of the source.

A Program holds names and constants; the tensors it names are in the model file beside it.  Nothing
in it can be executed but the operations of `int8ref.reference`, and `validate` proves before the
first run that every operand exists, has the right type and shape, and cannot overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Union

import msgspec

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
"""Inputs of the encoder: token ids, position in the sentence, index of the sentence; and where
each sentence begins (one entry more than there are sentences)."""

TARGET_INPUTS = {
    "target.ids": ValueType("target", "int32", 0),
    "target.positions": ValueType("target", "int32", 0),
    "target.sentence": ValueType("target", "int32", 0),
}
"""Inputs of a decoder step: the token before (or the start), its position, the row's sentence."""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that the decoder carries from step to step.

    In the domain `target` it is zero at first; a `history` is empty at first, and grows by the row
    that an `append` gives it in every step.
    """

    value: str
    next_value: str
    dtype: DType
    width: int
    domain: Literal["target", "history"] = "target"


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token ids that stand before and after those of every source."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    def around(self, ids: Sequence[int]) -> list[int]:
        """The ids of a source, framed."""
        return [*self.before, *ids, *self.after]

    @property
    def size(self) -> int:
        """Its tokens."""
        return len(self.before) + len(self.after)


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Encoder, decoder step, and the constants of generation.

    `log_softmax` turns the logits into log-probabilities, for a search that ranks by them.  `start`
    is the token id before the first target token (-1: the zero vector), `eos` ends a
    sentence, `unk` stands for what the vocabulary lacks, `source_frame` is what stands around the
    tokens of a source (unset: eos after them), `max_source_length` counts tokens with their frame,
    and a translation stops after `max_length_factor` / 100 times that length.
    Where there is no source (see `takes_source`), both are 0.  `alpha` is the exponent, in
    hundredths, of the length in a search's normalisation, unless another is asked for
    (`search.length`).  `target_prefix` are the tokens, such as a begin of the sentence, that the
    model was taught to begin every translation with: a search finds them itself, and to a given
    translation, which is to be scored, they are added (unset: none).
    """

    encoder: list[AnyInstruction]
    decoder: list[AnyInstruction]
    states: list[State]
    logits: str
    log_softmax: LogSoftmax
    start: int
    eos: int
    unk: int
    max_source_length: int
    max_length_factor: int
    alpha: int = 100
    source_frame: Frame | msgspec.UnsetType = msgspec.UNSET
    target_prefix: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        counts = f"{len(self.encoder)} of the encoder, {len(self.decoder)} of the decoder"
        return f"<Program, instructions: {counts}; states: {len(self.states)}>"

    @property
    def prefix(self) -> tuple[int, ...]:
        """What is added before a given translation."""
        return self.target_prefix if isinstance(self.target_prefix, tuple) else ()

    @property
    def frame(self) -> Frame:
        """What stands around the tokens of a source."""
        if isinstance(self.source_frame, Frame):
            return self.source_frame
        return Frame(after=(self.eos,))


def encode(program: Program) -> bytes:
    """The Program as JSON."""
    return msgspec.json.encode(program)


def decode(text: bytes | str) -> Program:
    """A Program from JSON.  Raises ProgramError on anything that is not exactly one."""
    try:
        return msgspec.json.decode(text, type=Program)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProgramError(f"not a valid program: {error}") from None


def takes_source(program: Program) -> bool:
    """Whether anything of a source sentence is read; without, a decoder stands alone."""
    sequences = (*program.encoder, *program.decoder)
    return any(name in SOURCE_INPUTS for i in sequences for name in i.names("value"))
