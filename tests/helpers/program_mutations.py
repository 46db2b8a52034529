"""Small random changes of a Program.  Validation rejects most of them.  The others run equally."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import reject
from hypothesis import strategies as st

from int8ref.files.model_file import Model
from int8ref.program.program import Program, Tensors, decode, encode
from int8ref.program.validate import validate
from int8ref.reference import instructions
from int8ref.spec.instruction import field_kinds
from int8ref.spec.scope import ProgramError

EXTREMES = [0, 1, -1, 2, 30, 31, 62, 63, 127, 128, 1024, 1 << 31, 1 << 63, 10**30]
HEADER = ["logits", "start", "eos", "unk", "max_source_length", "max_length_factor", "alpha"]
KINDS = ["value", "result", "constant", "move", "copy", "state", "top"]
STATE = ["value", "next_value", "dtype", "width", "domain", "twice"]


def fields_of(instruction: dict[str, Any], kind: str) -> list[str]:
    kinds = field_kinds(instructions()[instruction["op"]])
    return [name for name, k in kinds if k == kind and name in instruction]


@st.composite
def mutated(draw: st.DrawFn, program: Program) -> Program:
    """Return the program after one or two changes.

    A change affects operands, constants, results, the order, states or the header.
    """
    plain: dict[str, Any] = msgspec.json.decode(encode(program))
    names = st.sampled_from(
        [n for i in [*program.encoder, *program.decoder] for n in i.names("result")]
        + ["source.ids", "source.positions", "source.sentence", "source.offsets", "target.ids"]
        + ["target.positions", "target.sentence", "new"]
        + [state.value for state in program.states]
    )
    sides = ["encoder", "decoder", "decoder"] if program.encoder else ["decoder"]
    for _ in range(draw(st.integers(1, 2))):
        sequence = plain[draw(st.sampled_from(sides))]
        at = draw(st.integers(0, len(sequence) - 1))
        instruction = sequence[at]
        match draw(st.sampled_from(KINDS)):
            case "constant":
                some = [i for i in sequence if fields_of(i, "constant")]
                instruction = draw(st.sampled_from(some))
                name = draw(st.sampled_from(fields_of(instruction, "constant")))
                near = [instruction[name] - 1, instruction[name] + 1]
                instruction[name] = draw(st.sampled_from(near + EXTREMES))
            case "value" | "result" as kind:
                name = draw(st.sampled_from(fields_of(instruction, kind)))
                instruction[name] = draw(names | st.none())
            case "move":
                sequence.insert(draw(st.integers(0, len(sequence))), sequence.pop(at))
            case "copy":
                results = [n for n in fields_of(instruction, "result") if instruction[n]]
                renamed = {name: instruction[name] + "2" for name in results}
                sequence.insert(draw(st.integers(at, len(sequence))), {**instruction, **renamed})
            case "state":
                state = plain["states"][0]
                match draw(st.sampled_from(STATE)):
                    case "twice":
                        plain["states"].append({**state, "value": "other"})
                    case "width":
                        state["width"] = draw(st.sampled_from([*EXTREMES, 16, 32]))
                    case "domain":
                        state["domain"] = draw(st.sampled_from(["target", "history", "source"]))
                    case "dtype":
                        state["dtype"] = draw(st.sampled_from(["int8", "int16", "int32"]))
                    case name:
                        state[name] = draw(names)
            case "top":
                name = draw(st.sampled_from(HEADER))
                plain[name] = draw(names if name == "logits" else st.sampled_from(EXTREMES))
    return decode(msgspec.json.encode(plain))


def draw_valid(draw: st.DrawFn, model: Model) -> tuple[Program, Tensors]:
    """Return a mutated valid program and its tensors.  About one mutation of four is valid."""
    try:
        program = draw(mutated(model.program))
        tensors = used_tensors(program, model.tensors)
        validate(program, tensors)
    except ProgramError:
        reject()
    return program, tensors


def used_tensors(program: Program, tensors: Tensors) -> Tensors:
    named = {n for i in [*program.encoder, *program.decoder] for n in i.names("tensor")}
    return {name: array for name, array in tensors.items() if name in named}
