"""Lowering of every kind of Transformer: the integers compute the function of the float model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import every_kind
import msgspec
import numpy as np
import pytest
import tiny_llama
import tiny_marian
import tiny_training as tiny
from numpy.typing import NDArray

from int8ref.engines.backends import BACKENDS, load_engine
from int8ref.machine.model.prepare import linears
from int8ref.program.program import Program, SourceFrame, Tensors
from int8ref.program.sizes import max_steps
from int8ref.program.validate import validate
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.spec.pair_sums import fits
from tests.helpers.machine_text import machine_text
from weights_import import sources
from weights_import.arithmetic.activations import Activation as Function
from weights_import.calibrate import calibration
from weights_import.float_model import FloatModel
from weights_import.float_search import greedy
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions, Requantization
from weights_import.operations.activation import Activation

Batch = list[list[int]]


def sentences(model: FloatModel, count: int) -> Batch:
    random = np.random.default_rng(0)
    size, around = model.generation.target_vocabulary, model.generation.frame.around
    return [around(random.integers(4, size, random.integers(1, 20)).tolist()) for _ in range(count)]


def lowered(model: FloatModel, count: int = 60, **options: Any) -> tuple[Program, Tensors]:
    text = calibration(model, sentences(model, count))
    program, tensors = lower(model, text.sources, text.targets, LoweringOptions(**options))
    validate(program, tensors)
    return program, tensors


def logits(program: Program, tensors: Tensors, batch: Batch, targets: Batch) -> NDArray[Any]:
    """Return real logits along the targets [sentences, steps, vocabulary].

    Both engines must give equal logits.
    """
    unit = program.log_softmax.multiplier * 2.0 ** -(program.log_softmax.shift + 20) * np.log(2)
    machine_text()
    found = []
    for session in (load_engine(program, tensors, b).session(batch) for b in BACKENDS):
        ids = [np.full(len(batch), program.start), *np.array(targets).T]
        steps = [session.step(tokens.astype(np.int32)) for tokens in ids]
        found.append(np.stack(steps, axis=1))
    np.testing.assert_array_equal(*found)
    return found[0] * unit


def relative_error(model: FloatModel, program: Program, tensors: Tensors) -> float:
    """Return the relative error of the logits along translations of 8 tokens.

    For a language model, sentences replace the translations.
    """
    batch = sentences(model, 20)
    paths = greedy(model, batch) if model.translates else batch
    targets = [[*path, *[5] * 8][:8] for path in paths]
    batch = batch if model.translates else [[] for _ in batch]
    exact = np.stack(forced(model, batch, targets))
    found = logits(program, tensors, batch, targets)
    spread = exact - exact.mean(axis=-1, keepdims=True)
    return float(np.sqrt(np.square(found - exact).mean() / np.square(spread).mean()))


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_logits_are_those_of_the_float_model(kind: str, tmp_path: Path) -> None:
    """8 bits of 16 channels give about 2 % of noise.  A wrong factor gives far more."""
    model = sources.read(tiny.write(tmp_path, **tiny.KINDS[kind]))
    program, tensors = lowered(model)
    assert relative_error(model, program, tensors) < 0.05
    ops = Counter(i.op for i in [*program.encoder, *program.decoder])
    shape = tiny.described(**tiny.KINDS[kind])
    alone = shape["encoder_layers"] == 0
    assert ops["append"] == shape["decoder_layers"] == len(program.states)
    assert ops[f"attention_{shape['attention']}"] == (2 if alone else 6)
    assert ops[f"layer_norm_{shape['norm']}"] >= (4 if alone else 10)
    assert max_steps(program, tensors) == 40
    assert program.max_source_length == (0 if alone else 40)


def random_marian(**changes: Any) -> FloatModel:
    """Return a model whose translations do not end at once."""
    model = tiny_marian.random_model(1, **changes)
    model.tensors["output.bias"][model.generation.eos] = -9
    return model


@pytest.mark.parametrize("recurrent", [True, False])
def test_decoders_that_start_from_the_zero_vector(recurrent: bool) -> None:
    """Marian's decoders start from the zero vector, and their positions are sinusoids."""
    model = random_marian(recurrent=recurrent)
    program, tensors = lowered(model)
    assert program.start == -1
    assert relative_error(model, program, tensors) < 0.05


@pytest.mark.parametrize("frame", [SourceFrame(), SourceFrame((5,)), SourceFrame((6, 7), (0, 5))])
def test_sources_in_another_frame(frame: SourceFrame) -> None:
    model = random_marian(recurrent=False, source_frame=frame)
    program, tensors = lowered(model)
    assert program.source_frame == frame
    assert relative_error(model, program, tensors) < 0.05


@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("options", [{}, {"residual": 8}, {"rescaling": "dynamic"}])
def test_norms_of_embeddings_and_two_tables_of_positions(
    pre_norm: bool, options: dict[str, Any]
) -> None:
    tables = {"max_positions": 40, "target_positions": True}
    model = random_marian(recurrent=False, pre_norm=pre_norm, embedding_norm=True, **tables)
    assert not np.array_equal(model.tensors["positions"], model.tensors["target_positions"])
    program, tensors = lowered(model, **options)
    assert relative_error(model, program, tensors) < (0.2 if options.get("residual") else 0.05)
    ops = [i.op for i in program.encoder[:2]]
    assert ops == ["embed", "layer_norm_l2"]


@pytest.mark.parametrize("activation", ["swish", "gelu", "gelu_tanh"])
@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.parametrize("options", [{}, {"requantize": "shift"}, {"rescaling": "dynamic"}])
def test_activations_by_table(activation: str, pre_norm: bool, options: dict[str, Any]) -> None:
    model = random_marian(recurrent=False, activation=activation, pre_norm=pre_norm)
    program, tensors = lowered(model, **options)
    assert Counter(i.op for i in program.encoder)["lookup"] == 2
    assert relative_error(model, program, tensors) < 0.07


@pytest.mark.parametrize(
    "options",
    [
        {"requantize": "shift"},
        {"scales": "tensor"},
        {"residual": 8},
        {"residual": 8, "scales": "tensor", "requantize": "shift"},
        {"clip": "max"},
        {"weights": "full"},
        {"weights": "full", "requantize": "shift"},
        {"positions": 24},
        {"rescaling": "static"},
        {"rescaling": "dynamic"},
        {"rescaling": "dynamic", "scales": "tensor"},
    ],
)
def test_options(options: dict[str, Any], tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path))
    program, tensors = lowered(model, **options)
    assert relative_error(model, program, tensors) < 0.07
    assert max_steps(program, tensors) == options.get("positions", 40)


def random_llama(folder: Path, **changes: Any) -> FloatModel:
    """Return a model whose scores and gated products have the tails of a trained model."""
    model = sources.read(tiny_llama.write(folder, **changes))
    for name, tensor in model.tensors.items():
        if name.endswith(("query.weight", "key.weight", "gate.weight", "inner.weight")):
            model.tensors[name] = tensor * np.float32(0.4)
    return model


def activated(model: FloatModel, function: Function) -> FloatModel:
    """Return a decoder with another activation."""
    decoder = tuple(
        replace(one, function=function) if isinstance(one, Activation) else one
        for one in model.program.decoder
    )
    return replace(model, program=replace(model.program, decoder=decoder))


@pytest.mark.parametrize("kind", tiny_llama.CHANGES)
def test_logits_of_llamas(kind: str, tmp_path: Path) -> None:
    model = random_llama(tmp_path, **tiny_llama.CHANGES[kind])
    program, tensors = lowered(model, count=600)
    assert relative_error(model, program, tensors) < 0.05
    ops = Counter(i.op for i in program.decoder)
    wanted = {"rotary": 2, "rms_norm": 5, "multiply": 2, "interpolate": 2, "append": 2}
    assert wanted.items() <= ops.items()
    own_heads = tiny_llama.CHANGES[kind].get("num_key_value_heads") == tiny_llama.HEADS
    groups = {i.group for i in program.decoder if isinstance(i, AttentionSoftmax)}
    assert groups == ({msgspec.UNSET} if own_heads else {2})
    assert {state.width for state in program.states} == ({48} if own_heads else {24})
    assert max_steps(program, tensors) == 64


@pytest.mark.parametrize(
    "options",
    [
        {"requantize": "shift"},
        {"scales": "tensor"},
        {"residual": 8},
        {"weights": "full", "clip": "max"},
        {"positions": 24},
        {"rescaling": "static"},
        {"rescaling": "dynamic"},
        {"rescaling": "dynamic", "scales": "tensor"},
    ],
)
@pytest.mark.parametrize("activation", ["swish", "relu"])
def test_options_of_llamas(options: dict[str, Any], activation: Function, tmp_path: Path) -> None:
    model = activated(random_llama(tmp_path), activation)
    program, tensors = lowered(model, count=600, **options)
    assert relative_error(model, program, tensors) < 0.07
    assert max_steps(program, tensors) == options.get("positions", 64)


@pytest.mark.parametrize("kind", ["recurrent", "integer"])
@pytest.mark.parametrize("requantize", ["multiplier", "shift"])
@pytest.mark.parametrize("scales", ["channel", "tensor"])
def test_quads_stay_within_16_bits(kind: str, requantize: str, scales: str, tmp_path: Path) -> None:
    """Holds for all products except the last, which has the embedding.

    It does not hold if weights may use all 8 bits.
    """
    model = tiny_marian.random_model(3)
    if kind != "recurrent":
        model = sources.read(tiny.write(tmp_path, **tiny.KINDS[kind]))
    choices = {"requantize": requantize, "scales": scales}

    def within(weights: str) -> list[bool]:
        program, tensors = lowered(model, weights=weights, **choices)
        return [fits(tensors[product.weight]) for product in linears(program)[:-1]]

    assert all(within("quads"))
    assert not any(within("full"))


@pytest.mark.parametrize("requantize", ["multiplier", "shift"])
def test_recurrent_decoders_still_lower(requantize: Requantization) -> None:
    model = tiny_marian.random_model(3)
    program, tensors = lowered(model, requantize=requantize)
    assert relative_error(model, program, tensors) < 0.2  # 8 channels, two recurrent layers of four
    assert not any(state.domain == "history" for state in program.states)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
@pytest.mark.parametrize("delta", [1e-6, 100.0])
def test_any_delta_fits(degree: int, delta: float, tmp_path: Path) -> None:
    """delta may be far smaller or far larger than the scores."""
    errors = []
    for seed in range(2):
        model = sources.read(tiny.write(tmp_path, seed, degree=degree))
        for name in [name for name in model.tensors if name.endswith(".delta")]:
            model.tensors[name] = np.full_like(model.tensors[name], delta)
        program, tensors = lowered(model)
        shifts = {name: t for name, t in tensors.items() if name.endswith(".score_shift")}
        assert any(t.any() for t in shifts.values()) == (delta == 100.0)
        errors.append(relative_error(model, program, tensors))
    assert np.mean(errors) < 0.07


@pytest.mark.parametrize("kind", every_kind.KINDS)
def test_lowering_leaves_the_model_alone_and_has_one_result(kind: str) -> None:
    """Changes of basis rewrite a copy of the tensors."""
    model = every_kind.random_model(kind)
    before = {name: tensor.copy() for name, tensor in model.tensors.items()}
    (program, tensors), again = (lowered(model, positions=20) for _ in range(2))
    assert again[0] == program
    assert again[1].keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == again[1][name].dtype
        np.testing.assert_array_equal(again[1][name], tensor)
    assert model.tensors.keys() == before.keys()
    for name, tensor in before.items():
        np.testing.assert_array_equal(model.tensors[name], tensor)
