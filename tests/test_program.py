"""Validation of Programs: every fault is rejected, and the message names the place."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from int8ref.program.program import Program, SourceFrame, State, Tensors, decode, encode
from int8ref.program.sizes import max_steps, max_target_length
from int8ref.program.validate import validate
from int8ref.reference import instructions
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.spec.instruction import Instruction
from int8ref.spec.scope import ProgramError, ValueType
from tests.helpers.encoders import build_encoder
from tests.helpers.models import build_tiny_model

MODEL = build_tiny_model(2)
PROGRAM, TENSORS = MODEL.program, MODEL.tensors
EVERY = [("encoder", i) for i in range(len(PROGRAM.encoder))] + [
    ("decoder", i) for i in range(len(PROGRAM.decoder))
]


def refuse(message: str, program: Program = PROGRAM, tensors: Tensors = TENSORS) -> None:
    with pytest.raises(ProgramError, match=message):
        validate(program, tensors)


def changed(op: str, nth: int = 0, side: str = "", **fields: Any) -> Program:
    """Return the program with changed fields in the nth instruction of an operation."""
    places = [p for p in EVERY if getattr(PROGRAM, p[0])[p[1]].op == op and p[0].startswith(side)]
    name, at = places[nth]
    sequence: list[Instruction] = list(getattr(PROGRAM, name))
    sequence[at] = replace(sequence[at], **fields)
    return replace(PROGRAM, **{name: sequence})


def test_the_tiny_programs_are_valid_and_have_every_operation() -> None:
    types = validate(PROGRAM, TENSORS)
    kinds = ("translation", "rotary", "capped")
    others = *(build_tiny_model(6, kind) for kind in kinds), build_encoder()
    for model in others:
        validate(model.program, model.tensors)
    programs = PROGRAM, *(model.program for model in others)
    ops = {i.op for p in programs for i in [*p.encoder, *p.decoder]}
    assert ops == set(instructions()) - {"argmax", "log_softmax"}  # the search applies these
    assert types.decoder["logits"] == ValueType("target", "int32", len(TENSORS["embeddings"]))
    assert types.encoder.items() < types.decoder.items()


def test_missing_and_unused_tensors_are_listed_at_once() -> None:
    fewer = {k: v for k, v in TENSORS.items() if not k.startswith(("memory.", "gate.t"))}
    wanted = "missing tensors: gate.table, memory.bias, memory.multiplier, memory.shift, memory.w"
    refuse(wanted, tensors=fewer)
    more = {**TENSORS, "b": np.zeros(1, np.int8), "a": np.zeros(1, np.int8)}
    refuse("unused tensors: a, b$", tensors=more)


@settings(max_examples=300)
@given(name=st.sampled_from(sorted(TENSORS)), data=st.data())
def test_refuses_tensors_of_other_types_and_shapes(name: str, data: st.DataObject) -> None:
    tensor = TENSORS[name]
    dtypes = {"float32", "int64", "uint8", "bool", "int8", "int16", "int32"} - {str(tensor.dtype)}
    dtypes -= {"int16"} if name.endswith(".bias") or name == "gate.table" else set()
    dtypes -= {"int8"} if name == "gate.table" else set()
    wrong = [
        tensor.astype(data.draw(st.sampled_from(sorted(dtypes)))),
        tensor[None],
        tensor.ravel()[:0],
        tensor.reshape(-1)[0],
    ]
    if tensor.shape != (1,):
        wrong.append(np.repeat(tensor, 3, axis=tensor.ndim - 1))
    refuse("coder instruction", tensors={**TENSORS, name: data.draw(st.sampled_from(wrong))})


@pytest.mark.parametrize(("side", "at"), EVERY)
def test_refuses_undefined_values(side: str, at: int) -> None:
    """Every operand of every instruction, and every result whose name exists already."""
    sequence = getattr(PROGRAM, side)
    for field, kind, content in sequence[at].operands():
        if kind in ("value", "result") and content is not None:
            name, problem = (
                ("nothing", "'nothing' is not defined before its use")
                if kind == "value"
                else ("source.ids", "'source.ids' is defined twice")
            )
            other = [*sequence[:at], replace(sequence[at], **{field: name}), *sequence[at + 1 :]]
            told = f"{side} instruction {at} \\({sequence[at].op}\\): value {problem}"
            refuse(told, replace(PROGRAM, **{side: other}))


def test_refuses_use_before_definition() -> None:
    refuse("encoder instruction 0 .* not defined", replace(PROGRAM, encoder=PROGRAM.encoder[::-1]))


@pytest.mark.parametrize(
    ("op", "fields", "message"),
    [
        ("embed", {"multiplier": -1}, r"multiplier is -1, outside \[0"),
        ("embed", {"multiplier": 2**24}, "the sum may overflow 32 bits"),
        ("embed", {"shift": 0}, r"shift is 0, outside \[1, 30\]"),
        ("embed", {"shift": 31}, r"shift is 31, outside \[1, 30\]"),
        ("embed", {"ids": "source.sentence"}, "'source.sentence' is not source.ids"),
        ("embed", {"positions": "source.ids"}, "'source.ids' is not source.positions"),
        ("linear", {"low": -128}, r"low is -128, outside \[-127, 127\]"),
        ("linear", {"high": 128}, "high is 128"),
        ("linear", {"low": 5, "high": 4}, "high is 4"),
        ("linear", {"bias_shift": 16}, r"bias_shift is 16, outside \[0, 15\]"),
        ("linear", {"shift": None}, "a multiplier needs a shift"),
        ("linear", {"multiplier": "encoder.qkv.shift"}, "is int8.1., not int16"),
        ("linear", {"x": "source.ids"}, "is int32.source., not int8"),
        ("attention_softmax", {"heads": 3}, r"wanted \[3\]"),
        ("attention_softmax", {"heads": 0}, "heads is 0"),
        ("attention_softmax", {"head_width": 0}, "head_width is 0"),
        ("attention_softmax", {"value_column": 33}, r"column is 33, outside \[0, 32\]"),
        ("attention_softmax", {"query_column": -1}, "column is -1"),
        ("attention_softmax", {"score_shift": 15}, "scores may leave the range of exp2"),
        ("attention_softmax", {"score_shift": 0}, "score_shift is 0"),
        ("attention_softmax", {"sentence": "source.positions"}, "is not source.sentence"),
        ("attention_softmax", {"key_offsets": "source.ids"}, "not of domain sentence"),
        ("match_add", {"b_shift": 31}, r"b_shift is 31, outside \[0, 30\]"),
        ("match_add", {"shift": 0}, r"shift is 0, outside \[1, 61\]"),
        ("match_add", {"shift": 62}, "shift is 62"),
        ("match_add", {"limit": 0}, "limit is 0"),
        ("match_add", {"limit": 32768}, "limit is 32768"),
        ("match_add", {"b": "encoder.qkv"}, "not of width 16"),
        ("match_add", {"b": "encoder.output"}, "not int8 int16"),
        ("layer_norm_l2", {"shift": 31}, "shift is 31"),
        ("layer_norm_l2", {"bias_shift": 16}, r"bias_shift is 16, outside \[0, 15\]"),
        ("layer_norm_l2", {"wide_bits": 14}, r"wide_bits is 14, outside \[0, 13\]"),
        ("embed", {"wide_bits": 9}, r"wide_bits is 9, outside \[1, 8\]"),
        ("layer_norm_l2", {"epsilon": -1}, "epsilon is -1"),
        ("layer_norm_l2", {"epsilon": 2**60 + 1}, "epsilon is"),
        ("layer_norm_l2", {"x": "encoder.mix"}, "not int16"),
        ("requantize", {"limit": 32768}, "limit is 32768"),
        ("requantize", {"x": "target.ids"}, "has no width"),
        ("lookup", {"x": "cell"}, "not int8"),
        ("ssru", {"gate": "gate.input"}, "not int16"),
    ],
)
def test_refuses_constants_and_operands(op: str, fields: dict[str, Any], message: str) -> None:
    refuse(f"instruction .*{op}.*{message}", changed(op, **fields))


@pytest.mark.parametrize(
    ("tensor", "content", "message"),
    [
        ("encoder.qkv.multiplier", -1, "holds -1, below 0"),
        ("encoder.qkv.shift", 15, "holds 15, below 16"),
        ("encoder.qkv.shift", 47, "holds 47, above 46"),
        ("encoder.qkv.bias", 2**31 - 1, "accumulators may reach"),
        ("encoder.norm.b", -1, "below 0"),
        ("cell.shift", 0, "holds 0, below 1"),
        ("cell.shift", 63, "holds 63, above 62"),
        ("cell.multiplier", -5, "holds -5, below 0"),
        ("encoder.mix.score_multiplier", 0, "holds 0, below 1"),
        ("encoder.mix.score_multiplier", 2**31 - 1, "scores may leave"),
        ("encoder.mix.score_limit", 0, "holds 0, below 1"),
        ("encoder.mix.context_multiplier", 0, "holds 0, below 1"),
        ("encoder.mix.context_shift", 19, "holds 19, below 20"),
        ("encoder.mix.context_shift", 39, "holds 39, above 38"),
    ],
)
def test_refuses_tensors_out_of_range(tensor: str, content: int, message: str) -> None:
    """One invalid element is enough."""
    bad = TENSORS[tensor].copy()
    bad.flat[-1] = content
    refuse(message, tensors={**TENSORS, tensor: bad})


@pytest.mark.parametrize("number", [2, 3, 15])
def test_refuses_multipliers_that_are_neither_one_nor_all(number: int) -> None:
    name, multiplier = "memory.multiplier", TENSORS["memory.multiplier"][:number]
    refuse(f"memory.multiplier' has {number} elements", tensors={**TENSORS, name: multiplier})


def test_refuses_a_shift_for_each_multiplier() -> None:
    name, shift = "memory.shift", np.full(len(TENSORS["memory.multiplier"]), 23, np.int8)
    refuse(r"memory.shift' is int8.32., wanted .1.", tensors={**TENSORS, name: shift})


def log_softmax(**fields: Any) -> LogSoftmax:
    """Return the log_softmax of the tiny program with changed fields."""
    return replace(PROGRAM.log_softmax, **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"logits": "nothing"}, "logits 'nothing' are not an int32 value of the decoder"),
        ({"logits": "ssru"}, "logits 'ssru' are not an int32"),
        ({"logits": "source.ids"}, "logits 'source.ids' are not"),
        ({"logits": "cross.output"}, "last instruction of the decoder is not the linear"),
        ({"log_softmax": log_softmax(x="cross.output")}, "log_softmax is not of the logits"),
        ({"log_softmax": log_softmax(shift=37)}, "log_softmax instruction 0 .*shift is 37"),
        ({"log_softmax": log_softmax(out="logits")}, "value 'logits' is defined twice"),
        ({"eos": -1}, "eos -1 is outside the vocabulary"),
        ({"eos": len(TENSORS["embeddings"])}, "eos .* is outside"),
        ({"unk": 10**6}, "unk 1000000 is outside"),
        ({"start": -2}, "start -2 is outside"),
        ({"start": len(TENSORS["embeddings"])}, "start .* is outside"),
        ({"max_source_length": 1}, r"must lie in \[2, 131072\]"),
        (
            {"max_source_length": 3, "source_frame": SourceFrame((1,), (2, 3))},
            r"must lie in \[4, 131072\]",
        ),
        ({"target_prefix": (1, -1)}, r"target_prefix: \[-1\] are no tokens"),
        ({"target_prefix": (PROGRAM.eos,)}, r"target_prefix: \[0\] are no tokens"),
        ({"source_frame": SourceFrame((-1,))}, r"source_frame: \[-1\] of"),
        ({"source_frame": SourceFrame(after=(1, 10**6))}, r"source_frame: \[1000000\] of"),
        ({"max_source_length": 131073}, r"must lie in \[2, 131072\]"),
        ({"max_source_length": 65}, "source: 64 positions are fewer"),
        ({"max_length_factor": 0}, r"must lie in \[1, 10000\]"),
        ({"max_length_factor": 10_001}, r"must lie in \[1, 10000\]"),
        ({"alpha": -1}, r"alpha must lie in \[0, 1000\]"),
        ({"alpha": 1001}, r"alpha must lie in \[0, 1000\]"),
        ({"states": []}, "'ssru.state' is not defined"),
    ],
)
def test_refuses_headers(fields: dict[str, Any], message: str) -> None:
    refuse(message, replace(PROGRAM, **fields))


def test_refuses_fewer_target_embeddings_than_logits() -> None:
    tensors = {**TENSORS, "few": TENSORS["embeddings"][:-1]}
    refuse("logits but .* embeddings", changed("embed", side="decoder", table="few"), tensors)


GOOD = PROGRAM.states[0]


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([State("ssru.state", "nothing", "int16", 16)], "'nothing' is not computed"),
        ([State("ssru.state", "ssru.state", "int16", 16)], "'ssru.state' is not computed"),
        ([GOOD, State("s", "s", "int16", 10**12)], "state 's' has width 1000000000000"),
        ([GOOD, State("s", "s", "int16", 16)], "successor 's' is not computed"),
        ([GOOD, State("s", "target.ids", "int32", 0)], "state 's' has width 0"),
        ([GOOD, State("s", "logits", "int32", 7)], "'logits' is not computed before"),
        ([GOOD, State("s", "ssru.next", "int16", 16)], "state .* shares its successor"),
        ([GOOD, GOOD], "'ssru.state' is defined twice"),
        ([GOOD, State("source.ids", "ssru.next", "int16", 16)], "'source.ids' is defined twice"),
        ([GOOD, State("s", "ssru.norm", "int16", 16)], "state 's' does not match its succ"),
        ([State("ssru.state", "ssru.next", "int16", 17)], "not of width 16"),
        ([State("ssru.state", "ssru.next", "int8", 16)], "not int16"),
    ],
)
def test_refuses_states(states: list[State], message: str) -> None:
    refuse(message, replace(PROGRAM, states=states))


def test_refuses_an_old_state_after_its_successor() -> None:
    """The new state overwrites the old state."""
    refuse("state 'ssru.state' is used after", changed("match_add", side="decoder", a="ssru.state"))


def test_instructions_after_the_logits_are_refused() -> None:
    after = instructions()["argmax"](x="logits", out="best")
    refuse("last instruction", replace(PROGRAM, decoder=[*PROGRAM.decoder, after]))


def test_encode_and_decode() -> None:
    again = decode(encode(PROGRAM))
    assert again == PROGRAM
    assert [type(i) for i in again.decoder] == [type(i) for i in PROGRAM.decoder]
    assert encode(again) == encode(PROGRAM)


PLAIN = msgspec.json.decode(encode(PROGRAM))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        encode(PROGRAM)[:-1],
        encode(PROGRAM).replace(b'"start":-1', b'"start":-1.0'),
        encode(PROGRAM).replace(b'"start":-1', b'"start":"-1"'),
        encode(PROGRAM).replace(b'"start":-1', b'"start":-1,"more":1'),
        encode(PROGRAM).replace(b'"op":"embed"', b'"op":"exec"', 1),
        encode(PROGRAM).replace(b'"op":"embed"', b'"op":"embed","more":1', 1),
        encode(PROGRAM).replace(b'"ids":"source.ids",', b"", 1),
        encode(PROGRAM).replace(b'"ids":"source.ids"', b'"ids":null', 1),
        encode(PROGRAM).replace(b'"int16"', b'"float32"', 1),
        b'{"encoder":' + b"[" * 100_000,
    ],
    ids=lambda text: text[:12].decode("latin1") + str(len(text)),
)
def test_decode_refuses_anything_else(text: bytes) -> None:
    assert text != encode(PROGRAM)
    with pytest.raises(ProgramError, match="not a valid program: "):
        decode(text)


@settings(max_examples=30)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*PLAIN, "op"]), inner, max_size=9),
    max_leaves=9,
))  # fmt: skip
def test_decode_of_any_json(thing: Any) -> None:
    with pytest.raises(ProgramError):
        decode(msgspec.json.encode(thing))


@pytest.mark.parametrize(
    ("length", "factor", "wanted"), [(1, 250, 2), (1, 1, 1), (10, 250, 25), (60, 250, 64)]
)
def test_max_target_length(length: int, factor: int, wanted: int) -> None:
    program = replace(PROGRAM, max_length_factor=factor)
    assert max_target_length(program, TENSORS, length) == wanted


ROTARY = build_tiny_model(1, "rotary")


@pytest.mark.parametrize(
    ("op", "fields", "message"),
    [
        ("embed", {"positions": "target.positions"}, "positions and their table need each other"),
        ("embed", {"position_table": "embeddings"}, "positions and their table need each other"),
        ("rotary", {"x": "norm"}, "is int8.target, 16., not int16"),
        ("rotary", {"positions": "target.ids"}, "is not target.positions"),
        ("rotary", {"heads": 0}, "heads is 0"),
        ("rotary", {"heads": 5}, r"head_width is 8, outside \[2, 6\]"),
        ("rotary", {"pairs": 5}, r"pairs is 5, outside \[1, 4\]"),
        ("rotary", {"pairs": 2}, r"tensor 'cosine' is int16.64, 3., wanted \[any, 2\]"),
        ("rotary", {"sine": "qkv.wide.shift"}, "not int16"),
        ("rotary", {"multiplier": "qkv.wide.shift"}, "not int16"),
        ("rotary", {"shift": "qkv.multiplier"}, "not int8"),
        ("attention_softmax", {"group": 0}, r"group is 0, outside \[1, 2\]"),
        ("attention_softmax", {"group": 3}, r"group is 3, outside \[1, 2\]"),
        ("attention_softmax", {"group": 1}, "column is 8, outside"),
        ("attention_softmax", {"heads": 3, "query_column": -8}, "query_column is -8, outside"),
        ("interpolate", {"x": "ffn.norm"}, "is int8.target, 16., not int16"),
        ("interpolate", {"table": "cosine"}, r"wanted \[513\]"),
        ("multiply", {"a": "ffn.inner"}, "is int8.target, 32., not int16"),
        ("multiply", {"b": "ffn.norm"}, "not of width 32"),
        ("multiply", {"limit": 0}, "limit is 0"),
        ("multiply", {"limit": 32768}, "limit is 32768"),
        ("multiply", {"multiplier": "qkv.multiplier", "b": "ffn.inner"}, None),
        ("multiply", {"shift": "score"}, "tensor 'score' is missing|missing tensors: score"),
        ("rms_norm", {"epsilon": -1}, "epsilon is -1"),
        ("rms_norm", {"shift": 31}, "shift is 31"),
    ],
)
def test_refuses_what_llamas_could_have_wrong(
    op: str, fields: dict[str, Any], message: str | None
) -> None:
    sequence: list[Instruction] = list(ROTARY.program.decoder)
    at = next(at for at, i in enumerate(sequence) if i.op == op)
    sequence[at] = replace(sequence[at], **fields)
    program = replace(ROTARY.program, decoder=sequence)
    kept = {name for i in sequence for name in i.names("tensor")}
    tensors = {name: array for name, array in ROTARY.tensors.items() if name in kept}
    if message is None:
        validate(program, tensors)
    else:
        refuse(message, program, tensors)


@pytest.mark.parametrize("name", ["cosine", "sine"])
@pytest.mark.parametrize(("value", "message"), [(-(2**14) - 1, "below"), (2**14 + 1, "above")])
def test_angles_stay_in_their_range(name: str, value: int, message: str) -> None:
    angles = np.full_like(ROTARY.tensors[name], value)
    refuse(f"tensor '{name}' .* {message}", ROTARY.program, {**ROTARY.tensors, name: angles})


def test_positions_are_those_of_angles() -> None:
    """Both tables have one row for each position.  The number of steps is limited to it."""
    shorter = {name: ROTARY.tensors[name][:9] for name in ("cosine", "sine")}
    assert max_steps(ROTARY.program, {**ROTARY.tensors, **shorter}) == 9
    refuse("tensor 'sine'", ROTARY.program, {**ROTARY.tensors, "cosine": shorter["cosine"]})
