"""The proof that an encoder alone is sound: its output, and the tokens around a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from int8ref.program.program import Program
from int8ref.program.sizes import embedding_sizes, most_source_rows, position_limits
from int8ref.reference.linear import Linear
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.spec.scope import ProgramError, Tensors, ValueType


def require(condition: bool, message: str) -> None:
    """Raise ProgramError unless `condition` holds."""
    if not condition:
        raise ProgramError(message)


def check_encoder(program: Program, values: Mapping[str, ValueType], tensors: Tensors) -> None:
    """Check a Program with an output, whose encoder has these values.

    Raises ProgramError.
    """
    require(not program.decoder, "an encoder alone with a decoder")
    require(not program.states, "an encoder alone with states")
    require(program.start == -1, f"an encoder alone begins with the token {program.start}")
    require(not program.prefix, "an encoder alone with a target_prefix")
    require(program.max_length_factor == 0, "an encoder alone with a max_length_factor")
    require(not isinstance(program.max_steps, int), "an encoder alone with max_steps")
    _check_output(program, values)
    _check_sizes(program, tensors)


def _check_output(program: Program, values: Mapping[str, ValueType]) -> None:
    """The output is an embedding, or the logits of labels."""
    found = values.get(str(program.output))
    if found is None or found.domain != "sentence" or found.width == 0:
        raise ProgramError(f"output {program.output!r} has no row for each sentence")
    if found.dtype == "int8":
        nothing = not program.logits and not isinstance(program.log_softmax, LogSoftmax)
        require(nothing, "logits and log_softmax of an output that is an embedding")
        return
    last = program.encoder[-1]
    require(
        isinstance(last, Linear) and last.out == program.output and found.dtype == "int32",
        f"output {program.output!r} is neither int8 nor the int32 of the last linear",
    )
    require(program.logits == program.output, "logits are not the output")
    require(found.width >= 2, "fewer than two logits")
    require(normalizes(program), "log_softmax is not of the logits")


def normalizes(program: Program) -> bool:
    """Whether log_softmax is of the logits."""
    found = program.log_softmax
    return isinstance(found, LogSoftmax) and found.x == program.logits


def _check_sizes(program: Program, tensors: Tensors) -> None:
    """The tables have a row for every token and every position that may occur."""
    least, longest = program.frame.size + 1, program.max_source_length
    most = most_source_rows(program)
    require(least <= longest <= most, f"max_source_length must lie in [{least}, {most}]")
    for length in position_limits(program, tensors, "source"):
        require(length >= longest, f"{length} positions are fewer than max_source_length")
    sizes = embedding_sizes(program, tensors, "source")
    require(bool(sizes), "an encoder alone that embeds no token of the source")
    for size in sizes:
        for name in ("eos", "unk"):
            token = getattr(program, name)
            require(0 <= token < size, f"{name} {token} is outside the vocabulary")
    check_frame(program, tensors)


def check_frame(program: Program, tensors: Tensors) -> None:
    """The tokens of the frame are in the tables of the source."""
    framing = [*program.frame.before, *program.frame.after]
    for size in embedding_sizes(program, tensors, "source"):
        outside = [token for token in framing if not 0 <= token < size]
        require(not outside, f"source_frame: {outside} of {size} tokens")
