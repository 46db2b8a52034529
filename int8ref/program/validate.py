"""The proof that a Program is sound, before its first run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Union

import msgspec

from int8ref.program.cost import MAX_INSTRUCTIONS, MAX_STATES, Cost
from int8ref.program.languages import Languages
from int8ref.reference import instructions
from int8ref.reference.append import Append
from int8ref.reference.attention import MAX_KEYS
from int8ref.reference.linear import Linear
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.spec.instruction import Instruction
from int8ref.spec.limits import MAX_ALPHA
from int8ref.spec.scope import MAX_WIDTH, Facts, ProgramError, Scope, ValueType
from int8ref.spec.scope import Tensors as Tensors

if TYPE_CHECKING:
    AnyInstruction = Instruction
else:
    AnyInstruction = Union[tuple(instructions().values())]  # noqa: UP007 - known at run time only
from int8ref.program.encoder import check_encoder, check_frame, normalizes
from int8ref.program.encoder import require as _require
from int8ref.program.program import SOURCE_INPUTS, TARGET_INPUTS, Program, takes_source
from int8ref.program.sizes import (
    Side,
    embedding_sizes,
    max_steps,
    most_keys,
    most_source_rows,
    position_limits,
)

MOST_ENDS = 63
"""Largest number of tokens that end a sentence, besides eos."""
MOST_NAMES = 20
"""Largest number of names that an error lists."""


class Checked(msgspec.Struct, frozen=True):
    """Types of the values of a valid Program: of the encoder, and of the decoder with its
    inputs."""

    encoder: dict[str, ValueType]
    decoder: dict[str, ValueType]


def validate(program: Program, tensors: Tensors) -> Checked:
    """Return the types of all values.  Raises ProgramError that names the place and the fault.

    One error lists all missing tensors; another lists all unused tensors.
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
    if program.encodes:
        check_encoder(program, source, tensors)
    else:
        _check_states(program, target)
        _check_generation(program, target, tensors)
    if isinstance(program.log_softmax, LogSoftmax):
        _walk("log_softmax", [program.log_softmax], dict(target), facts, cost)
    for name, sequence, rows in (
        ("encoder", program.encoder, 1),
        ("decoder", program.decoder, program.max_source_length),
    ):
        cost.check_work(name, sequence, target, rows, most_keys(program, tensors))
    cost.check_sentence(program.max_source_length, max_steps(program, tensors))
    return Checked(source, target)


def _listed(names: Sequence[str]) -> str:
    """The first names of a list, with the number of names if some are left out."""
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
    """The values that a decoder step may read: encoder values, inputs of the step, and states."""
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
    """Check a sequence in order, and add its results to `values`.  Returns the used tensors."""
    used: set[str] = set()
    for index, instruction in enumerate(sequence):
        scope = Scope(f"{name} instruction {index} ({instruction.op})", values, facts)
        instruction.check(scope)
        cost.add_values(scope.where, values, instruction.names("result"))
        used |= scope.used
    return used


def _check_states(program: Program, target: dict[str, ValueType]) -> None:
    """Every state has one successor of its own, which can be written over the state."""
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
    """An `append` extends every history in every step, before anything reads the history."""
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
    vocabulary = _check_head(program, target)
    _check_tokens(program, vocabulary)
    _check_lengths(program)
    _check_embeddings(program, tensors, vocabulary)
    _check_languages(program, tensors, vocabulary)


def _check_head(program: Program, target: dict[str, ValueType]) -> int:
    """The decoder ends with the logits.  Returns the number of logits."""
    logits = target.get(program.logits)
    if logits is None or (logits.domain, logits.dtype) != ("target", "int32"):
        raise ProgramError(f"logits {program.logits!r} are not an int32 value of the decoder")
    _require(logits.width >= 2, "fewer than two logits")
    head = program.decoder[-1] if program.decoder else None
    _require(
        isinstance(head, Linear) and head.out == program.logits,
        "the last instruction of the decoder is not the linear that gives the logits",
    )
    _require(normalizes(program), "log_softmax is not of the logits")
    return logits.width


def _check_tokens(program: Program, vocabulary: int) -> None:
    """The token ids of generation are in the vocabulary, and alpha is in its range."""
    for name in ("eos", "unk"):
        token = getattr(program, name)
        _require(0 <= token < vocabulary, f"{name} {token} is outside the vocabulary")
    _require(-1 <= program.start < vocabulary, f"start {program.start} is outside the vocabulary")
    more = program.ends[1:]
    _require(len(more) <= MOST_ENDS, f"more_eos: {len(more)} tokens, more than {MOST_ENDS}")
    outside = [t for t in more if not 0 <= t < vocabulary]
    _require(not outside, f"more_eos: {outside} are outside the vocabulary")
    _require(len(set(program.ends)) == 1 + len(more), "more_eos: a token is there twice")
    outside = [t for t in program.prefix if not 0 <= t < vocabulary or t in program.ends]
    _require(not outside, f"target_prefix: {outside} are no tokens of a translation")
    _require(0 <= program.alpha <= MAX_ALPHA, f"alpha must lie in [0, {MAX_ALPHA}]")


def _check_lengths(program: Program) -> None:
    """The lengths of sources and translations are in their ranges; they are 0 without a source."""
    steps = program.max_steps
    _require(
        not isinstance(steps, int) or 1 <= steps <= MAX_KEYS,
        f"max_steps must lie in [1, {MAX_KEYS}]",
    )
    if takes_source(program):
        shortest, longest = program.frame.size + 1, most_source_rows(program)
        _require(
            shortest <= program.max_source_length <= longest,
            f"max_source_length must lie in [{shortest}, {longest}]",
        )
        _require(
            1 <= program.max_length_factor <= 10_000, "max_length_factor must lie in [1, 10000]"
        )
        return
    _require(
        program.max_source_length == program.max_length_factor == 0,
        "max_source_length and max_length_factor must be 0 where there is no source",
    )
    _require(program.source_frame is msgspec.UNSET, "a source_frame where there is no source")


def _check_embeddings(program: Program, tensors: Tensors, vocabulary: int) -> None:
    """The tables have a row for every token and every position that may occur."""
    sides: tuple[Side, ...] = ("source", "target")
    for side in sides:
        for length in position_limits(program, tensors, side):
            _require(
                length >= program.max_source_length,
                f"{side}: {length} positions are fewer than max_source_length",
            )
    for size in embedding_sizes(program, tensors, "target"):
        _require(size >= vocabulary, f"{vocabulary} logits but {size} embeddings")
    check_frame(program, tensors)


def _check_languages(program: Program, tensors: Tensors, vocabulary: int) -> None:
    """The tokens of languages exist, and leave room for a source and for a translation."""
    languages = program.languages
    if not isinstance(languages, Languages):
        return
    _require(takes_source(program), "languages where there is no source")
    sizes = embedding_sizes(program, tensors, "source")
    problem = next(languages.problems(vocabulary, sizes, program.eos), "")
    _require(not problem, f"languages: {problem}")
    around, before = languages.longest
    around += 0 if languages.sources else program.frame.size
    room = program.max_source_length, max_steps(program, tensors)
    _require(around < room[0], f"languages: {around} tokens around {room[0]} of a source")
    _require(before < room[1], f"languages: {before} tokens before {room[1]} of a translation")
