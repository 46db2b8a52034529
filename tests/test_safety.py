"""Programs of strangers: an accepted Program reads only its tensors, and its costs are limited."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.machine.model.prepare import Prepared, linears, packed_key, start_key
from int8ref.program.cost import MAX_INSTRUCTIONS, MAX_SENTENCE_BYTES, MAX_STATES, MAX_WORK
from int8ref.program.program import Program, State, Tensors
from int8ref.program.validate import validate
from int8ref.reference import instructions
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import ProgramError
from tests.helpers.builder import WIDTH
from tests.helpers.engines import requests
from tests.helpers.machine_text import machine_text
from tests.helpers.models import build_tiny_model
from tests.helpers.program_mutations import used_tensors

I = instructions()  # noqa: E741
MODEL = build_tiny_model(2)
PROGRAM, TENSORS = MODEL.program, MODEL.tensors
HEAD = PROGRAM.decoder[-1]
STREAM = next(i.wide for i in reversed(PROGRAM.decoder) if i.op.startswith("layer_norm"))
DATA = HEAD.names("value")[0]
BATCH = [[5, 9, 3, 0], [7, 0]]


def values_of(program: Program, tensors: Tensors, name: str) -> dict[str, NDArray[Any]]:
    """Return the value that each backend computes for `name` in the first step."""
    machine_text()
    validate(program, tensors)
    found = {}
    for backend in BACKENDS:
        seen: dict[str, NDArray[Any]] = {}
        session = load_engine(program, tensors, backend).session(BATCH, seen.__setitem__)
        session.step(np.full(len(BATCH), program.start, np.int32))
        found[backend] = seen[name].copy()
    return found


def with_more(*more: Instruction) -> Program:
    """Return the tiny program with more instructions before the logits."""
    return replace(PROGRAM, decoder=[*PROGRAM.decoder[:-1], *more, HEAD])


def same(program: Program, more: Tensors, name: str) -> None:
    found = values_of(program, {**TENSORS, **more}, name)
    np.testing.assert_array_equal(found["compiled"], found["reference"])
    assert found["reference"].any()


def product(weight: str, out: str, **fields: Any) -> Instruction:
    return I["linear"](x=DATA, weight=weight, bias=f"{weight}.b", out=out, **fields)


def test_one_multiplier_for_two_widths() -> None:
    random = np.random.default_rng(1)
    more: Tensors = {"m": np.array([1 << 14], np.int16), "s": np.array([12], np.int8)}
    for weight, size in (("narrow", 8), ("broad", 4000)):
        more[weight] = random.integers(-9, 9, (size, WIDTH)).astype(np.int8)
        more[f"{weight}.b"] = np.zeros(size, np.int32)
    program = with_more(
        *(
            step
            for weight in ("narrow", "broad")
            for step in (
                product(weight, f"{weight}.sums"),
                I["requantize"](
                    x=f"{weight}.sums", multiplier="m", shift="s", limit=32767, out=f"{weight}.out"
                ),
            )
        )
    )
    same(program, more, "broad.out")


def test_a_shift_for_two_widths() -> None:
    more: Tensors = {"s": np.array([3], np.int8)}
    for weight, size in (("narrow", 2), ("broad", 700)):
        more[weight] = np.ones((size, WIDTH), np.int8)
        more[f"{weight}.b"] = np.arange(size, dtype=np.int32)
    program = with_more(
        product("narrow", "one", shift="s"), product("broad", "two", shift="s", low=-99)
    )
    same(program, more, "two")


def test_gain_and_bias_are_multipliers_too() -> None:
    more: Tensors = {"p": np.full(WIDTH, 100, np.int16), "q": np.full(WIDTH, 90, np.int16)}
    norm: dict[str, Any] = {"bias_shift": 0, "shift": 13, "epsilon": 4, "wide_bits": 0}
    total: dict[str, Any] = {"b_shift": 0, "shift": 9, "limit": 32767}
    program = with_more(
        I["layer_norm_l2"](x=STREAM, gain="p", bias="q", out="n", **norm),
        I["match_add"](a=STREAM, b=STREAM, a_multiplier="p", b_multiplier="q", out="s", **total),
    )
    same(program, more, "s")


def test_a_weight_with_the_name_of_start_values() -> None:
    """Names of derived tensors never collide with names of tensors in a file."""
    first = linears(PROGRAM)[-1]
    for name in (start_key(first), start_key(first, True), packed_key(first.weight), first.weight):
        weight = {name: np.arange(-40, 40, dtype=np.int8).repeat(WIDTH).reshape(80, WIDTH)}
        if name in TENSORS:
            weight = {}
        bias = {f"{name}.b": np.arange(len({**TENSORS, **weight}[name]), dtype=np.int32)}
        same(with_more(product(name, "sums")), {**weight, **bias}, "sums")


def test_a_prepared_form_of_another_extent_is_not_given_out() -> None:
    first = linears(PROGRAM)[0]
    prepared = Prepared(
        TENSORS, MODEL.types.encoder, {packed_key(first.weight): TENSORS["embeddings"]}
    )
    with pytest.raises(RuntimeError, match="prepared: int8"):
        prepared.packed(first.weight)


def test_the_encoder_defines_no_input_of_the_decoder() -> None:
    for name in ("target.ids", "target.positions", "target.sentence"):
        sums = replace(product("embeddings", "e.sums"), x=PROGRAM.encoder[-1].names("value")[0])
        more = [sums, I["argmax"](x="e.sums", out=name)]
        program = replace(PROGRAM, encoder=[*PROGRAM.encoder, *more])
        tensors = {**TENSORS, "embeddings.b": np.zeros(len(TENSORS["embeddings"]), np.int32)}
        with pytest.raises(ProgramError, match=f"defines inputs of the decoder: {name}"):
            validate(program, tensors)


def few_source_embeddings() -> tuple[Program, Tensors]:
    """The decoder looks up source ids in a smaller table than the encoder."""
    fields: dict[str, Any] = {"multiplier": 140, "shift": 8, "wide_bits": 5}
    embed = I["embed"](ids="source.ids", table="few", out="again", wide="again.wide", **fields)
    return with_more(embed), {**TENSORS, "few": TENSORS["embeddings"][:8].copy()}


@pytest.mark.parametrize("backend", BACKENDS)
def test_ids_are_checked_by_every_table_that_reads_them(backend: Any) -> None:
    machine_text()
    program, tensors = few_source_embeddings()
    validate(program, tensors)
    engine = load_engine(program, tensors, backend)
    asked = requests([[5, 7, 0]], [3])
    assert engine.greedy(asked) == load_engine(PROGRAM, TENSORS).greedy(asked)
    for sentence in ([8, 0], [10**6, 0]):
        with pytest.raises(IndexError, match=r"token ids must lie in \[-1, "):
            engine.greedy(requests([sentence], [3]))


def test_positions_are_checked_by_every_table_that_reads_them() -> None:
    program, tensors = few_source_embeddings()
    at = next(at for at, i in enumerate(program.decoder) if i.names("result")[0] == "again")
    fields = {"positions": "source.positions", "position_table": "short", "position_multiplier": 9}
    decoder = list(program.decoder)
    decoder[at] = replace(decoder[at], **fields)
    more = {**tensors, "short": TENSORS["positions"][:9].copy()}
    with pytest.raises(ProgramError, match="source: 9 positions are fewer than max_source_length"):
        validate(replace(program, decoder=decoder), more)


def test_a_state_is_only_written_over_by_what_can() -> None:
    """The result of a product overwrites the state that the product reads."""
    weight = {"w": np.eye(WIDTH, dtype=np.int8), "w.b": np.zeros(WIDTH, np.int32)}
    turned = product("w", "new", shift="sh", low=-127)
    states = [*PROGRAM.states, State("old", "new", "int8", WIDTH)]
    tensors = {**TENSORS, **weight, "sh": np.array([1], np.int8)}
    with pytest.raises(
        ProgramError, match="state 'old' is used where its successor is computed, by"
    ):
        validate(replace(with_more(replace(turned, x="old")), states=states), tensors)
    more: dict[str, Any] = {
        **weight,
        "sh": tensors["sh"],
        "t": np.arange(-128, 128).astype(np.int8),
    }
    table = I["lookup"](x="old", table="t", out="new")
    plain = replace(with_more(table), states=states)
    same(replace(plain, decoder=[*plain.decoder]), {"t": more["t"]}, DATA)


# Limits


def refused(message: str, program: Program, tensors: Tensors) -> None:
    with pytest.raises(ProgramError, match=message):
        validate(program, tensors)


def test_instructions_and_states_are_counted() -> None:
    copies = [replace(HEAD, out=f"x{n}") for n in range(MAX_INSTRUCTIONS)]
    refused("instructions in the decoder, more than", with_more(*copies), TENSORS)
    states = [State(f"s{n}", f"n{n}", "int8", 1) for n in range(MAX_STATES + 1)]
    refused(f"{len(states)} states, more than", replace(PROGRAM, states=states), TENSORS)


def test_a_tensor_is_looked_through_once() -> None:
    """Thousands of instructions may name one large tensor."""
    looks = []

    class Watched(np.ndarray[Any, Any]):
        def min(self, *_: Any, **__: Any) -> Any:
            looks.append("min")
            return np.asarray(self).min()

    table = np.full((1 << 10, 4), 7, np.int16).view(Watched)
    more: Tensors = {"t": table, "m": np.array([1], np.int16), "s": np.array([1], np.int8)}
    fields: dict[str, Any] = {"cosine": "t", "sine": "t", "heads": 1, "head_width": 8, "pairs": 4}
    fields |= {"x": STREAM, "positions": "target.positions", "multiplier": "m", "shift": "s"}
    angles = [I["rotary"](out=f"turned{n}", **fields) for n in range(99)]
    validate(with_more(*angles), {**TENSORS, **more})
    assert looks == ["min"]


def test_the_work_of_a_step_is_bounded() -> None:
    """Instructions may use a weight several times, but the total work is limited."""
    size = 1 << 12
    large: Tensors = {"w": np.zeros((size, size), np.int8), "w.b": np.zeros(size, np.int32)}
    large |= {"in": np.zeros((size, WIDTH), np.int8), "in.b": np.zeros(size, np.int32)}
    large["sh"] = np.array([5], np.int8)
    steps = [product("in", "y0", shift="sh")]
    for n in range(MAX_WORK // size**2 + 1):
        steps.append(replace(product("w", f"y{n + 1}", shift="sh"), x=f"y{n}"))
    message = f"decoder: more than {MAX_WORK} multiply-adds"
    refused(message, with_more(*steps), {**TENSORS, **large})


def test_the_memory_of_a_row_is_bounded() -> None:
    wide = {"w": np.zeros((1 << 20, WIDTH), np.int8), "w.b": np.zeros(1 << 20, np.int32)}
    many = [product("w", f"y{n}") for n in range(20)]
    refused("values of a target row take more than", with_more(*many), {**TENSORS, **wide})


def test_the_memory_of_a_sentence_is_bounded() -> None:
    """A history has a row for each of 1024 steps."""
    model, width = build_tiny_model(0, "decoder"), 1 << 19
    embed, *sequence = model.program.decoder
    embed = replace(embed, positions=None, position_table=None, position_multiplier=0)
    append, linear = (next(i for i in sequence if i.op == op) for op in ("append", "linear"))
    tensors: Tensors = {"w": np.zeros((width, WIDTH), np.int8), "w.b": np.zeros(width, np.int32)}
    tensors["sh"] = np.array([5], np.int8)
    wide = replace(linear, weight="w", bias="w.b", multiplier=None, shift="sh", out="wide")
    fields: dict[str, Any] = {"x": "wide", "column": 0}
    numbers = range(9)
    more = [replace(append, history=f"h{n}", next_history=f"n{n}", **fields) for n in numbers]
    states = [State(f"h{n}", f"n{n}", "int8", width, "history") for n in numbers]
    program = replace(
        model.program,
        decoder=[embed, *sequence[:1], wide, *more, *sequence[1:]],
        states=[*model.program.states, *states],
    )
    message = f"0 tokens and 1024 steps take .* bytes, more than {MAX_SENTENCE_BYTES}"
    refused(message, program, used_tensors(program, {**model.tensors, **tensors}))
