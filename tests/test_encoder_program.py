"""Programs without a decoder: their proof, and both engines."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from int8ref.engines.backends import load_engine
from int8ref.errors import OutOfRangeError, WrongTypeError, WrongValueError
from int8ref.files.model_file import Model, ModelFileError, load, save, serialize
from int8ref.program.program import State, decode, encode
from int8ref.program.sizes import vocabulary_size
from int8ref.program.validate import validate
from int8ref.reference.log_softmax import LogSoftmax
from int8ref.search.hypothesis import BeamOptions
from int8ref.search.request import Path, Request
from int8ref.spec.scope import ProgramError
from tests.helpers.encoders import LABELS, Output, build_encoder, random_batch
from tests.helpers.engines import engines

OUTPUTS: tuple[Output, ...] = ("embedding", "labels")
SOFTMAX = LogSoftmax(x="unit", multiplier=1, shift=0, out="log_softmax")


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_json_gives_the_program_again(output: Output) -> None:
    program = build_encoder(output).program
    assert decode(encode(program)) == program


def test_programs_with_a_decoder_have_no_new_field() -> None:
    from tests.helpers.models import build_tiny_model

    told = msgspec.json.decode(encode(build_tiny_model().program))
    assert "output" not in told
    assert list(told)[:6] == ["encoder", "decoder", "states", "logits", "log_softmax", "start"]


CHANGES: list[tuple[Output, dict[str, Any], str]] = [
    ("embedding", {"output": "nothing"}, "output 'nothing' has no row for each sentence"),
    ("embedding", {"output": "hidden"}, "output 'hidden' has no row for each sentence"),
    ("embedding", {"output": "source.offsets"}, "has no row for each sentence"),
    ("embedding", {"output": "pooled"}, "neither int8 nor the int32 of the last linear"),
    ("embedding", {"logits": "unit"}, "logits and log_softmax of an output"),
    ("embedding", {"log_softmax": SOFTMAX}, "logits and log_softmax of an output"),
    ("embedding", {"start": 0}, "begins with the token 0"),
    ("embedding", {"max_length_factor": 100}, "with a max_length_factor"),
    ("embedding", {"target_prefix": (3,)}, "with a target_prefix"),
    ("embedding", {"states": [State("s", "t", "int8", 4)]}, "with states"),
    ("embedding", {"max_source_length": 65}, "64 positions are fewer"),
    ("embedding", {"max_source_length": 2}, "max_source_length must lie in"),
    ("embedding", {"eos": 4000}, "eos 4000 is outside the vocabulary"),
    ("embedding", {"unk": -1}, "unk -1 is outside the vocabulary"),
    ("labels", {"logits": ""}, "logits are not the output"),
    ("labels", {"log_softmax": msgspec.UNSET}, "log_softmax is not of the logits"),
    ("labels", {"log_softmax": SOFTMAX}, "log_softmax is not of the logits"),
    ("labels", {"output": "dense"}, "logits and log_softmax of an output"),
]


@pytest.mark.parametrize(("output", "change", "told"), CHANGES)
def test_an_unsound_program_is_refused(output: Output, change: dict[str, Any], told: str) -> None:
    model = build_encoder(output)
    with pytest.raises(ProgramError, match=told):
        validate(msgspec.structs.replace(model.program, **change), model.tensors)


def test_a_decoder_needs_its_log_softmax() -> None:
    from tests.helpers.models import build_tiny_model

    model = build_tiny_model()
    program = msgspec.structs.replace(model.program, log_softmax=msgspec.UNSET)
    with pytest.raises(ProgramError, match="log_softmax is not of the logits"):
        validate(program, model.tensors)
    program = msgspec.structs.replace(model.program, output=model.program.logits)
    with pytest.raises(ProgramError, match="an encoder alone with a decoder"):
        validate(program, model.tensors)


def test_the_offsets_of_attention_are_the_input() -> None:
    """Kernels use them as indices, so that no computed value may replace them."""
    model = build_encoder("labels")
    from int8ref.reference import instructions

    argmax = instructions()["argmax"](x="logits", out="likely")
    encoder = [*model.program.encoder[:-1], model.program.encoder[-1], argmax]
    attention = next(i for i in encoder if i.op == "attention_softmax")
    moved = msgspec.structs.replace(attention, key_offsets="likely", out="again")
    program = msgspec.structs.replace(model.program, encoder=[*encoder, moved])
    with pytest.raises(ProgramError, match=r"'likely' is not source\.offsets"):
        validate(program, model.tensors)


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("output", OUTPUTS)
@given(seed=st.integers(0, 2**32 - 1), sentences=st.integers(1, 9))
def test_both_backends_give_the_same_bits(
    output: Output, rows: int, seed: int, sentences: int
) -> None:
    reference, compiled = engines(build_encoder(output, rows))
    batch = random_batch(seed, sentences)
    wanted = reference.outputs(batch)
    found = compiled.outputs(batch)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("output", OUTPUTS)
def test_batches_orders_and_threads_change_no_bit(output: Output) -> None:
    reference, compiled = engines(build_encoder(output))
    batch = random_batch(7, 64)
    wanted = reference.outputs(batch)
    for engine in (reference, compiled):
        for size in (1, 7, 64):
            parts = [batch[at : at + size] for at in range(0, 64, size)]
            np.testing.assert_array_equal(np.concatenate([*map(engine.outputs, parts)]), wanted)
        order = np.random.default_rng(3).permutation(64)
        np.testing.assert_array_equal(engine.outputs([batch[i] for i in order]), wanted[order])
        with ThreadPoolExecutor(2) as pool:
            parts = [batch[at : at + 8] for at in range(0, 64, 8)]
            np.testing.assert_array_equal(
                np.concatenate([*pool.map(engine.outputs, parts)]), wanted
            )


def test_every_value_is_the_same_on_both_backends() -> None:
    model = build_encoder()
    seen: list[dict[str, Any]] = []
    for engine in engines(model):
        seen.append({})
        engine.session(random_batch(5, 3), seen[-1].__setitem__)
    assert seen[0].keys() == seen[1].keys() >= {"pooled", "unit"}
    for name, array in seen[0].items():
        np.testing.assert_array_equal(seen[1][name], array, name)


def test_a_large_batch_is_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from int8ref.machine.model import split

    _, compiled = engines(build_encoder())
    batch = random_batch(9, 20)
    wanted = compiled.outputs(batch)
    monkeypatch.setattr(split, "MOST_BYTES", 5000)
    np.testing.assert_array_equal(compiled.outputs(batch), wanted)


def test_searches_refuse_an_encoder_alone_and_the_other_way_round() -> None:
    from tests.helpers.models import build_tiny_model

    requests, path = [Request([2, 5, 0], 3)], Path([2, 0], -1, [3])
    searches: list[Callable[[Any], object]] = [
        lambda engine: engine.greedy(requests),
        lambda engine: engine.beam(requests, BeamOptions(2)),
        lambda engine: engine.log_probabilities([path]),
        lambda engine: engine.session([[2, 0]]).step(np.zeros(1, np.int32)),
    ]
    for engine in engines(build_encoder()):
        for search in searches:
            with pytest.raises(WrongValueError, match="an encoder alone"):
                search(engine)
    for engine in engines(build_tiny_model()):
        with pytest.raises(WrongValueError, match="has a decoder"):
            engine.outputs([[4, 0]])


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ([], WrongValueError),
        ([[]], WrongValueError),
        ([[2, 4000, 0]], OutOfRangeError),
        ([[2] * 65], OutOfRangeError),
        ([["a"]], WrongTypeError),
        (3, WrongTypeError),
    ],
)
def test_wrong_batches(batch: Any, error: type[Exception]) -> None:
    for engine in engines(build_encoder()):
        with pytest.raises(error):
            engine.outputs(batch)


def test_the_vocabulary_is_that_of_the_source() -> None:
    model = build_encoder()
    assert vocabulary_size(model.program, model.tensors) == len(model.tensors["embeddings"])


# The model file


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_file_keeps_the_model(output: Output, tmp_path: Any) -> None:
    model = build_encoder(output)
    save(tmp_path / "m.safetensors", model)
    found = load(tmp_path / "m.safetensors")
    assert found.program == model.program
    assert found.labels == (LABELS if output == "labels" else ())
    assert serialize(found) == serialize(model)


@pytest.mark.parametrize(
    ("output", "labels"), [("embedding", LABELS), ("labels", ()), ("labels", LABELS[:2])]
)
def test_labels_that_do_not_fit(output: Output, labels: tuple[str, ...]) -> None:
    model = build_encoder(output)
    parts = {n: getattr(model, n) for n in Model.__dataclass_fields__ if n != "_read"}
    with pytest.raises(ModelFileError, match="labels for"):
        serialize(Model(**parts | {"labels": labels}))


def test_a_long_label_is_refused() -> None:
    model = build_encoder("labels")
    parts = {n: getattr(model, n) for n in Model.__dataclass_fields__ if n != "_read"}
    with pytest.raises(ModelFileError, match="labels"):
        serialize(Model(**parts | {"labels": ("a", "", "c")}))


# Programs of strangers

NEAR = [0, 1, -1, 2, 31, 63, 127, 128, 1024, 1 << 31, 10**30]


@pytest.mark.parametrize("output", OUTPUTS)
@given(data=st.data())
def test_a_changed_program_is_refused_or_runs_equally(output: Output, data: st.DataObject) -> None:
    model = build_encoder(output)
    plain = msgspec.json.decode(encode(model.program))
    names = [name for i in model.program.encoder for name in i.names("result")]
    names += ["source.ids", "source.sentence", "source.offsets", "target.ids", "new"]
    for _ in range(data.draw(st.integers(1, 2))):
        instruction = data.draw(st.sampled_from(plain["encoder"]))
        field = data.draw(st.sampled_from([name for name in instruction if name != "op"]))
        if isinstance(instruction[field], int):
            change = [instruction[field] - 1, instruction[field] + 1, *NEAR]
            instruction[field] = data.draw(st.sampled_from(change))
        else:
            change = [*names, *model.tensors]
            instruction[field] = data.draw(st.sampled_from(change))
        plain["output"] = data.draw(st.sampled_from([plain["output"]] * 4 + names))
    try:
        program = decode(msgspec.json.encode(plain))
        used = {name for i in program.encoder for name in i.names("tensor")}
        tensors = {name: array for name, array in model.tensors.items() if name in used}
        validate(program, tensors)
    except ProgramError:
        return
    batch = random_batch(3, 4)
    wanted = load_engine(program, tensors, "reference").outputs(batch)
    np.testing.assert_array_equal(load_engine(program, tensors).outputs(batch), wanted)
