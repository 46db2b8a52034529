"""A Program: what an encoder and one decoder step compute, as typed instructions over values.

    source ids ─► encoder ─► memory ─┐
    target ids, states ─► decoder step ─► logits, next states

A decoder alone is a Program too: without an encoder, and without any input of the source.

A Program holds names and constants; the tensors it names are in the model file beside it.  Nothing
in it can be executed but the operations of `int8ref.reference`, and `validate` proves before the
first run that every operand exists, has the right type and shape, and cannot overflow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Union

import msgspec
import numpy as np

from int8ref.instruction import (
    MAX_WIDTH,
    DType,
    Facts,
    Instruction,
    ProgramError,
    Scope,
    ValueType,
)
from int8ref.instruction import Tensors as Tensors
from int8ref.limits import MAX_INSTRUCTIONS, MAX_STATES, Cost
from int8ref.reference import instructions
from int8ref.reference.append import Append
from int8ref.reference.attention import MAX_KEYS
from int8ref.reference.embed import Embed
from int8ref.reference.linear import Linear
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.reference.rotary import Rotary
from int8ref.search.hypothesis import MAX_ALPHA

if TYPE_CHECKING:
    AnyInstruction = Instruction
else:
    AnyInstruction = Union[tuple(instructions().values())]  # noqa: UP007 - known at run time only

Side = Literal["source", "target"]

MOST_NAMES = 20
"""Most names that an error lists."""

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


class Checked(msgspec.Struct, frozen=True):
    """Types of a valid Program: every value of the encoder, and of the decoder with its inputs."""

    encoder: dict[str, ValueType]
    decoder: dict[str, ValueType]


def encode(program: Program) -> bytes:
    """The Program as JSON."""
    return msgspec.json.encode(program)


def decode(text: bytes | str) -> Program:
    """A Program from JSON.  Raises ProgramError on anything that is not exactly one."""
    try:
        return msgspec.json.decode(text, type=Program)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProgramError(f"not a valid program: {error}") from None


def validate(program: Program, tensors: Tensors) -> Checked:
    """Types of all values of a sound Program; raises ProgramError that says what is wrong where.

    Missing and unused tensors are listed all at once.
    """
    _check_counts(program)
    _check_names(program, tensors)
    facts, cost = Facts(tensors), Cost(tensors)
    source = dict(SOURCE_INPUTS)
    used = _walk("encoder", program.encoder, source, facts, cost)
    target = _decoder_inputs(program, source)
    used |= _walk("decoder", program.decoder, target, facts, cost)
    unused = sorted(set(tensors) - used)
    _require(not unused, f"unused tensors: {_listed(unused)}")
    _check_states(program, target)
    _check_generation(program, target, tensors)
    _walk("log_softmax", [program.log_softmax], dict(target), facts, cost)
    for name, sequence, rows in (
        ("encoder", program.encoder, 1),
        ("decoder", program.decoder, program.max_source_length),
    ):
        cost.check_work(name, sequence, target, rows)
    cost.check_sentence(program.max_source_length, max_steps(program, tensors))
    return Checked(source, target)


def takes_source(program: Program) -> bool:
    """Whether anything of a source sentence is read; without, a decoder stands alone."""
    sequences = (*program.encoder, *program.decoder)
    return any(name in SOURCE_INPUTS for i in sequences for name in i.names("value"))


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ProgramError(message)


def _listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many there are."""
    more = f", ... ({len(names)} in all)" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _check_counts(program: Program) -> None:
    for what, found, most in (
        ("instructions in the encoder", len(program.encoder), MAX_INSTRUCTIONS),
        ("instructions in the decoder", len(program.decoder), MAX_INSTRUCTIONS),
        ("states", len(program.states), MAX_STATES),
    ):
        _require(found <= most, f"{found} {what}, more than {most}")


def _check_names(program: Program, tensors: Tensors) -> None:
    named = {n for i in [*program.encoder, *program.decoder] for n in i.names("tensor")}
    missing = sorted(named - set(tensors))
    _require(not missing, f"missing tensors: {_listed(missing)}")


def _decoder_inputs(program: Program, source: dict[str, ValueType]) -> dict[str, ValueType]:
    """What a decoder step may refer to: values of the encoder, inputs of a step, and states."""
    taken = sorted(source.keys() & TARGET_INPUTS.keys())
    _require(not taken, f"the encoder defines inputs of the decoder: {_listed(taken)}")
    target = {**source, **TARGET_INPUTS}
    for state in program.states:
        _require(state.value not in target, f"state {state.value!r} is defined twice")
        _require(1 <= state.width <= MAX_WIDTH, f"state {state.value!r} has width {state.width}")
        target[state.value] = ValueType(state.domain, state.dtype, state.width)
    return target


def _walk(
    name: str,
    sequence: Sequence[Instruction],
    values: dict[str, ValueType],
    facts: Facts,
    cost: Cost,
) -> set[str]:
    """Check a sequence in order, adding its results to `values`; the tensors it uses."""
    used: set[str] = set()
    for index, instruction in enumerate(sequence):
        scope = Scope(f"{name} instruction {index} ({instruction.op})", values, facts)
        instruction.check(scope)
        cost.add_values(scope.where, values, instruction.names("result"))
        used |= scope.used
    return used


def _check_states(program: Program, target: dict[str, ValueType]) -> None:
    """A state is advanced in place: one successor each, which takes the place of the old state."""
    results = {name: at for at, i in enumerate(program.decoder) for name in i.names("result")}
    last_use = {name: at for at, i in enumerate(program.decoder) for name in i.names("value")}
    successors = Counter(state.next_value for state in program.states)
    for state in program.states:
        told = f"state {state.value!r}"
        _require(
            state.next_value in results and state.next_value != program.logits,
            f"{told}: its successor {state.next_value!r} is not computed before the logits",
        )
        _require(
            target[state.next_value] == target[state.value],
            f"{told} does not match its successor",
        )
        _require(successors[state.next_value] == 1, f"{told} shares its successor")
        at, used = results[state.next_value], last_use.get(state.value, -1)
        _require(used <= at, f"{told} is used after its successor is computed")
        _require(
            used < at or program.decoder[at].in_place,
            f"{told} is used where its successor is computed, by {program.decoder[at].op},"
            " which cannot write the one over the other",
        )
    _check_histories(program)


def _check_histories(program: Program) -> None:
    """Every history grows by one step in every step, in place, before it is read."""
    states = {(s.value, s.next_value) for s in program.states if s.domain == "history"}
    appended = {(i.history, i.next_history) for i in program.decoder if isinstance(i, Append)}
    for history, successor in sorted(states ^ appended):
        raise ProgramError(
            f"history {history!r}: {successor!r} must be its state's successor, by an append"
        )
    histories = {history for history, _ in states}
    for instruction in program.decoder:
        early = histories & set(instruction.names("value"))
        _require(
            isinstance(instruction, Append) or not early,
            f"history {min(early, default='')!r} is read without this step's row",
        )


def _check_generation(program: Program, target: dict[str, ValueType], tensors: Tensors) -> None:
    logits = target.get(program.logits)
    _require(
        logits is not None and logits.domain == "target" and logits.dtype == "int32",
        f"logits {program.logits!r} are not an int32 value of the decoder",
    )
    assert logits is not None
    _require(logits.width >= 2, "fewer than two logits")
    head = program.decoder[-1] if program.decoder else None
    _require(
        isinstance(head, Linear) and head.out == program.logits,
        "the last instruction of the decoder is not the linear that gives the logits",
    )
    _require(program.log_softmax.x == program.logits, "log_softmax is not of the logits")
    for name in ("eos", "unk"):
        token = getattr(program, name)
        _require(0 <= token < logits.width, f"{name} {token} is outside the vocabulary")
    _require(-1 <= program.start < logits.width, f"start {program.start} is outside the vocabulary")
    outside = [t for t in program.prefix if not 0 <= t < logits.width or t == program.eos]
    _require(not outside, f"target_prefix: {outside} are no tokens of a translation")
    _require(0 <= program.alpha <= MAX_ALPHA, f"alpha must lie in [0, {MAX_ALPHA}]")
    if takes_source(program):
        shortest = program.frame.size + 1
        _require(
            shortest <= program.max_source_length <= 1024,
            f"max_source_length must lie in [{shortest}, 1024]",
        )
        _require(
            1 <= program.max_length_factor <= 10_000, "max_length_factor must lie in [1, 10000]"
        )
    else:
        _require(
            program.max_source_length == program.max_length_factor == 0,
            "max_source_length and max_length_factor must be 0 where there is no source",
        )
        _require(program.source_frame is msgspec.UNSET, "a source_frame where there is no source")
    framing = [*program.frame.before, *program.frame.after]
    sides: tuple[Side, ...] = ("source", "target")
    for side in sides:
        for length in position_limits(program, tensors, side):
            _require(
                length >= program.max_source_length,
                f"{side}: {length} positions are fewer than max_source_length",
            )
    for size in embedding_sizes(program, tensors, "target"):
        _require(size >= logits.width, f"{logits.width} logits but {size} embeddings")
    for size in embedding_sizes(program, tensors, "source"):
        outside = [token for token in framing if not 0 <= token < size]
        _require(not outside, f"source_frame: {outside} of {size} tokens")


def _embeds(program: Program, side: Side) -> list[Embed]:
    """Instructions that look up token ids of a side, in the encoder or in the decoder."""
    both = (*program.encoder, *program.decoder)
    return [i for i in both if isinstance(i, Embed) and i.ids == f"{side}.ids"]


def embedding_sizes(program: Program, tensors: Tensors, side: Side) -> list[int]:
    """How many token ids each instruction knows that looks up those of a side."""
    return [len(tensors[i.table]) for i in _embeds(program, side)]


def position_limits(program: Program, tensors: Tensors, side: Side) -> list[int]:
    """How many positions each instruction knows that adds or turns by those of a side."""
    embeds, both = _embeds(program, side), (*program.encoder, *program.decoder)
    tables = [i.position_table for i in embeds if i.position_table is not None]
    turned = (i for i in both if isinstance(i, Rotary) and i.positions == f"{side}.positions")
    tables += [i.cosine for i in turned]
    made = [i.max_positions for i in embeds if i.wave is not None]
    return [len(tensors[name]) for name in tables] + made


def max_steps(program: Program, tensors: Tensors) -> int:
    """Most steps a decoder may take: its positions, and the keys that attention takes."""
    limits = position_limits(program, tensors, "target")
    limited = not limits or any(state.domain == "history" for state in program.states)
    return min(limits + [MAX_KEYS] * limited)


def max_target_length(program: Program, tensors: Tensors, source_length: int) -> int:
    """Most tokens a translation of a source of so many tokens (with its frame) may have.

    floor(source_length * max_length_factor / 100), at least 1, at most `max_steps`; as many as
    those where there is no source.
    """
    most = max_steps(program, tensors)
    if not takes_source(program):
        return most
    return longest_translation(source_length, program.max_length_factor, most)


def longest_translation(source_length: int, factor: int, most: int) -> int:
    """floor(source_length * factor / 100), at least 1, at most `most`."""
    return max(1, min(source_length * factor // 100, most))


def vocabulary_size(program: Program, tensors: Tensors) -> int:
    """How many tokens a logit is given to, by the last instruction of the decoder."""
    return len(tensors[program.decoder[-1].names("tensor")[0]])


def parameter_count(tensors: Tensors) -> int:
    """Number of elements of all tensors."""
    return int(sum(np.prod(t.shape) for t in tensors.values()))
