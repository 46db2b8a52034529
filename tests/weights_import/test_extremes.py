"""Weights that no good training gives: the integer model works, or an error names the weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from every_kind import KINDS, random_model, sentences
from extreme_weights import FACTORS, column, constant, one, row, whole
from extremes import OPTIONS, agreement, imported, logits
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from int8ref.errors import UserError
from int8ref.reference.linear import Linear
from weights_import.float_model import FloatModel
from weights_import.operations.embedding import SINUSOIDS, Embedding
from weights_import.tensors import Float32

NAMES = {kind: sorted(random_model(kind).tensors) for kind in KINDS}


def some_fast(*fast: str) -> list[ParameterSet]:
    """Return all kinds of models.  Kinds outside `fast` run in the slow tests."""
    return [pytest.param(kind, marks=[] if kind in fast else pytest.mark.slow) for kind in KINDS]


@dataclass(frozen=True)
class Change:
    """A change of the tensors whose names have this begin and this end."""

    begin: str
    end: str
    change: Callable[[Float32, float], Float32]
    factor: float


@dataclass(frozen=True)
class Broken:
    """A model with changed weights."""

    kind: str
    seed: int
    changes: tuple[Change, ...]
    epsilon: float

    def model(self) -> FloatModel:
        model = random_model(self.kind, self.seed, epsilon=self.epsilon)
        with np.errstate(over="ignore", invalid="ignore"):
            for change in self.changes:
                for name, tensor in model.tensors.items():
                    if name.startswith(change.begin) and name.endswith(change.end):
                        model.tensors[name] = change.change(tensor, change.factor)
        return model


@st.composite
def broken(draw: st.DrawFn) -> Broken:
    """Draw one or two changes of a tensor, a block, one part of all layers, or all tensors."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    changes = []
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(NAMES[kind]))
        block, _, part = name.rpartition(".")
        begin, end = draw(st.sampled_from([(name, ""), (block, ""), ("", part), ("", "")]))
        change = draw(st.sampled_from([one, row, column, whole, constant]))
        changes.append(Change(begin, end, change, draw(st.sampled_from([0.0] * 4 + FACTORS))))
    epsilon = draw(st.sampled_from([1e-6] * 4 + [0.0, 1e-50, 1e-12, 1.0, 1e3]))
    return Broken(kind, draw(st.integers(0, 99)), tuple(changes), epsilon)


def works_or_is_named(given: Broken, options: dict[str, object]) -> None:
    model = given.model()
    assume(all(np.isfinite(tensor).all() for tensor in model.tensors.values()))  # as readers do
    try:
        program, tensors = imported(model, **options)
    except UserError as error:
        told = str(error)
        assert re.match(r"(encoder|decoder|source|target|output)[\w.]*: .*\d in \w+", told), told
        assert "repair these weights" in told
        return
    batch = sentences(model, 2, 1) if model.translates else [[], []]
    logits(program, tensors, batch, [[5, 6, 7], [3, 2, 9]])


@settings(max_examples=20)
@given(broken(), st.sampled_from(OPTIONS))
def test_any_weights_work_or_are_named(model: Broken, options: dict[str, object]) -> None:
    """Both backends agree on an imported model.  A warning of NumPy is an error here."""
    works_or_is_named(model, options)


@pytest.mark.slow
@settings(max_examples=2000)
@given(broken(), st.sampled_from(OPTIONS))
def test_many_weights_work_or_are_named(model: Broken, options: dict[str, object]) -> None:
    works_or_is_named(model, options)


@pytest.mark.parametrize("kind", some_fast("pre-norm", "integer", "llama"))
def test_zeroed_tensors_work(kind: str) -> None:
    """Every tensor of the last layer, and every tensor outside the layers, except |delta|.

    Without |delta|, all weights of a polynomial may be 0, also in the float model.
    """
    names = [name for name in random_model(kind).tensors if not re.search(r"\.0\.|delta", name)]
    for name in names:
        model = random_model(kind)
        model.tensors[name] = np.zeros_like(model.tensors[name])
        found = agreement(model, *imported(model))
        assert found.divergence < 0.05, name


@pytest.mark.parametrize("kind", some_fast("recurrent", "post-norm", "llama"))
@pytest.mark.parametrize("options", [{}, {"requantize": "shift"}, {"rescaling": "dynamic"}])
def test_zeroed_sublayers_work(kind: str, options: dict[str, object]) -> None:
    """All weights and biases of a sublayer are 0, as in a pruned model."""
    blocks = {name.rpartition(".")[0].rpartition(".")[0] for name in random_model(kind).tensors}
    for block in sorted(block for block in blocks if block.count(".") == 2):
        model = random_model(kind)
        for name, tensor in model.tensors.items():
            if name.startswith(f"{block}.") and "norm" not in name and "delta" not in name:
                model.tensors[name] = np.zeros_like(tensor)
        found = agreement(model, *imported(model, **options))
        assert found.divergence < 0.05, block


@pytest.mark.parametrize("kind", ["recurrent", "post-norm", "pre-norm"])
@pytest.mark.parametrize("factor", [300, 30000])
def test_large_scores_work(kind: str, factor: float) -> None:
    """With large queries and keys, the softmax selects one key."""
    model = random_model(kind)
    for name, tensor in model.tensors.items():
        if ".query." in name or ".key." in name:
            model.tensors[name] = tensor * np.float32(factor)
    found = agreement(model, *imported(model))
    assert found.divergence < 0.1  # 8 bits do not distinguish keys of similar scores
    assert found.same > 0.8


@pytest.mark.parametrize("kind", ["recurrent", "post-norm", "pre-norm", "llama"])
def test_one_large_weight_of_queries_and_keys_works(kind: str) -> None:
    for name in random_model(kind).tensors:
        if name.endswith(("query.weight", "key.weight")) and ".1." in name:
            model = random_model(kind)
            model.tensors[name] = one(model.tensors[name], 1e6)
            assert agreement(model, *imported(model)).divergence < 0.2, name


def test_a_forbidden_token_takes_no_bits_from_the_others() -> None:
    model = random_model("pre-norm")
    model.tensors["output.bias"][4] = -50
    plain = agreement(model, *imported(model))
    model.tensors["output.bias"][4] = -1e9
    program, tensors = imported(model)
    assert agreement(model, program, tensors).divergence < 1.1 * plain.divergence
    bias = tensors["decoder.logits.bias"]
    assert bias.dtype == np.int32
    assert bias.argmin() == 4


def test_a_large_row_that_calibration_did_not_see_takes_no_bits_from_the_others() -> None:
    """No sentence and no translation has token 1."""
    model = random_model("pre-norm")
    model.tensors["output.bias"][1] = -50
    for name in ("source_embedding", "target_embedding"):
        model.tensors[name][1] = 1e6
    assert agreement(model, *imported(model)).divergence < 0.01


@pytest.mark.parametrize("factor", [0, 1e-30])
def test_logits_that_are_biases_alone(factor: float) -> None:
    model = random_model("post-norm")
    model.tensors["output.weight"] *= np.float32(factor)
    model.tensors["output.bias"][5] = 1
    found = agreement(model, *imported(model))
    assert found.divergence < 1e-4
    assert found.same == 1


def test_a_bias_takes_no_bits_from_those_of_other_rows() -> None:
    """The queries are only a bias.  Keys and values are in the same product."""
    model = random_model("pre-norm")
    for layer in range(2):
        name = f"encoder.{layer}.self.query.weight"
        model.tensors[name] = np.zeros_like(model.tensors[name])
    program, _ = imported(model)
    assert max(i.bias_shift for i in program.encoder if isinstance(i, Linear)) <= 8


def without_positions(model: FloatModel) -> FloatModel:
    """Return a model with a table of zeros in place of sinusoids."""
    tensors = model.tensors.copy()
    tensors["positions"] = np.zeros((24, 8), np.float32)
    encoder, decoder = (
        tuple(
            replace(one, positions="positions")
            if isinstance(one, Embedding) and one.positions == SINUSOIDS
            else one
            for one in stack
        )
        for stack in (model.program.encoder, model.program.decoder)
    )
    program = replace(model.program, encoder=encoder, decoder=decoder)
    return replace(model, program=program, tensors=tensors)


@pytest.mark.parametrize("kind", ["recurrent", "pre-norm", "llama"])
def test_small_values_are_told_from_zero(kind: str) -> None:
    """Without an epsilon, a norm gives the same result for a stream that is 10^12 times smaller."""
    model = without_positions(random_model(kind, epsilon=0.0, start=2))
    for name, tensor in model.tensors.items():
        if name.endswith(("embedding", "output.weight", "outer.weight", "output.bias")):
            model.tensors[name] = tensor * np.float32(1 if name.startswith("output") else 1e-12)
    assert agreement(model, *imported(model)).divergence < 0.05
