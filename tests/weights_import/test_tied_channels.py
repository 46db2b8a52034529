"""One matrix for embeddings and logits, with a scale for each channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from log_probabilities import log_probabilities
from random_float_model import LLAMA, random_model

from int8ref.engines.backends import load_engine
from int8ref.program.program import Program, Tensors
from int8ref.reference.embed import Embed
from int8ref.reference.linear import Linear
from tests.helpers.engines import paths
from weights_import.float_model import FloatModel
from weights_import.float_search import sample
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.operations.heads import Heads
from weights_import.sources import decoder_only, encoder_decoder
from weights_import.tied_channels import proportions

VOCABULARY, WIDTH = 19, 32
DECODER = decoder_only.Shape(WIDTH, 40, 2, VOCABULARY, Heads(4, 8, 4), positions=20)
TRANSFORMER = encoder_decoder.Shape(
    WIDTH, 4, 40, 1, 1, "relu", VOCABULARY, VOCABULARY, embedding_scale=3.0
)
TABLES = {
    "decoder": ["target_embedding", "output.weight"],
    "transformer": ["source_embedding", "target_embedding", "output.weight"],
}


def tied(kind: str) -> FloatModel:
    """A model with one matrix under all names, of which two channels in four are small."""
    if kind == "decoder":
        model = random_model(DECODER, norm=LLAMA, max_positions=20)
    else:
        model = random_model(TRANSFORMER, optional=False)
    sizes = np.tile(np.array([1, 0.05, 1, 0.01], np.float32), WIDTH // 4)
    names = TABLES[kind]
    model.tensors[names[0]] = model.tensors[names[0]] * sizes
    for name in names[1:]:
        model.tensors.put(name, model.tensors.stored(names[0]))
    norm = next(o for o in model.program.operations if "output.weight" in o.weights).inputs[0]
    model.tensors[f"{norm}.gain"] = (np.abs(model.tensors[f"{norm}.gain"]) + 0.2) / sizes
    return model


def texts_of(model: FloatModel) -> tuple[list[list[int]], list[list[int]]]:
    """Sources and targets of 80 texts."""
    if not model.translates:
        return [[]] * 80, sample(model, 80, 12)
    random = np.random.default_rng(1)
    drawn = random.integers(2, VOCABULARY, (80, 2, 11)).tolist()
    return [[*source, model.generation.eos] for source, _ in drawn], [text for _, text in drawn]


def lowered(model: FloatModel, **options: Any) -> tuple[Program, Tensors]:
    """The model in integers, calibrated on the first half of the texts."""
    sources, targets = (half[:40] for half in texts_of(model))
    return lower(model, sources, targets, LoweringOptions(positions=20, **options))


@pytest.mark.parametrize("kind", TABLES)
def test_one_matrix_in_integers(kind: str) -> None:
    """Every number of the float matrix is within half a step, in embeddings and logits alike."""
    model = tied(kind)
    program, tensors = lowered(model)
    instructions = [*program.encoder, *program.decoder]
    embeds = [i for i in instructions if isinstance(i, Embed)]
    head = next(i for i in instructions if isinstance(i, Linear) and i.out == program.logits)
    assert {i.table for i in embeds} == {head.weight}
    scales = proportions(model.program, model.tensors, model.grids)["output.weight"]
    exact = model.tensors["output.weight"] * scales
    step = np.abs(exact).max() / 127
    table = tensors[head.weight]
    assert np.abs(table * step - exact).max() <= step * 0.5001
    for embed in embeds:
        assert embed.channel_multiplier is not None
        factors = tensors[embed.channel_multiplier] * scales
        np.testing.assert_allclose(factors, factors[0], rtol=1e-4)


@pytest.mark.parametrize("kind", TABLES)
def test_small_channels_keep_their_bits(kind: str) -> None:
    """The loss is less than a third of the loss with one scale for all channels."""
    model = tied(kind)
    sources, texts = (half[40:] for half in texts_of(model))
    exact = [log_probabilities(model, s, t) for s, t in zip(sources, texts, strict=True)]

    def loss() -> float:
        program, tensors = lowered(model)
        engine = load_engine(program, tensors, "compiled")
        starts = [program.start] * len(texts)
        found = engine.log_probabilities(paths(sources, starts, texts))
        pairs = zip(found, exact, strict=True)
        errors = [np.array(f) / 2**20 * np.log(2) - e[: len(f)] for f, e in pairs]
        return float((np.concatenate(errors) ** 2).mean())

    with_scales = loss()
    model.grids["output.weight"] = float(np.abs(model.tensors["output.weight"]).max()) / 127
    model.grids |= dict.fromkeys(TABLES[kind], model.grids["output.weight"])
    assert with_scales < loss() / 3


def another_product(model: FloatModel) -> None:
    model.tensors.put("decoder.0.ffn.inner.weight", model.tensors.stored("output.weight"))


def untied(model: FloatModel) -> None:
    model.tensors["output.weight"] = model.tensors["output.weight"].copy()


def on_a_grid(model: FloatModel) -> None:
    model.grids["target_embedding"] = 0.01


@pytest.mark.parametrize("change", [another_product, untied, on_a_grid])
def test_no_such_matrix(change: Callable[[FloatModel], None]) -> None:
    model = tied("decoder")
    change(model)
    assert proportions(model.program, model.tensors, model.grids) == {}


def test_one_scale_for_each_tensor() -> None:
    program, _ = lowered(tied("decoder"), scales="tensor")
    assert [i.channel_multiplier for i in program.decoder if isinstance(i, Embed)] == [None]
