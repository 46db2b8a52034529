"""Weights that no training gives, or only a broken one: they work as integers, or are named."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from extremes import KINDS, OPTIONS, agreement, imported, logits, random_model, sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from int8ref.errors import UserError
from weights_import.float_model import Float32, FloatModel

NAMES = {kind: sorted(random_model(kind).tensors) for kind in KINDS}


def some_fast(*fast: str) -> list[ParameterSet]:
    """All kinds of models; those that are not `fast` in the slow tests."""
    return [pytest.param(kind, marks=[] if kind in fast else pytest.mark.slow) for kind in KINDS]


FACTORS = [10.0**power for power in (-45, -38, -30, -20, -12, -6, -3, 3, 6, 9, 12, 18, 20, 25, 30)]


def one(tensor: Float32, factor: float) -> Float32:
    """One element in the middle is that large."""
    tensor = tensor.copy()
    tensor[tuple(size // 2 for size in tensor.shape)] = factor
    return tensor


def row(tensor: Float32, factor: float) -> Float32:
    tensor = tensor.copy()
    tensor[len(tensor) // 2] *= np.float32(factor)
    return tensor


def column(tensor: Float32, factor: float) -> Float32:
    tensor = tensor.copy()
    tensor[..., tensor.shape[-1] // 2] *= np.float32(factor)
    return tensor


def whole(tensor: Float32, factor: float) -> Float32:
    return tensor * np.float32(factor)


def constant(tensor: Float32, factor: float) -> Float32:
    return np.full_like(tensor, factor)


@dataclass(frozen=True)
class Change:
    """Of the tensors whose names begin and end so."""

    begin: str
    end: str
    change: Callable[[Float32, float], Float32]
    factor: float


@dataclass(frozen=True)
class Broken:
    """A model that is not as training leaves it."""

    kind: str
    seed: int
    changes: tuple[Change, ...]
    epsilon: float

    def model(self) -> FloatModel:
        model = random_model(self.kind, self.seed)
        with np.errstate(over="ignore", invalid="ignore"):
            for change in self.changes:
                for name, tensor in model.tensors.items():
                    if name.startswith(change.begin) and name.endswith(change.end):
                        model.tensors[name] = change.change(tensor, change.factor)
        model.architecture = replace(model.architecture, norm_epsilon=self.epsilon)
        return model


@st.composite
def broken(draw: st.DrawFn) -> Broken:
    """One or two changes to a tensor, a block, one part of all layers, or all tensors."""
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
    try:
        program, tensors = imported(model, **options)
    except UserError as error:
        told = str(error)
        if "translated into nothing" not in told:
            assert re.match(r"(encoder|decoder|source|target|output)[\w.]*: .*\d in \w+", told), (
                told
            )
            assert "repair these weights" in told
        return
    alone = not model.architecture.encoder_layers
    batch = [[], []] if alone else sentences(model, 2, 1)
    logits(program, tensors, batch, [[5, 6, 7], [3, 2, 9]])


@given(broken(), st.sampled_from(OPTIONS))
def test_any_weights_work_or_are_named(model: Broken, options: dict[str, object]) -> None:
    """Both backends agree on what is imported; warnings of NumPy's are errors here."""
    works_or_is_named(model, options)


@pytest.mark.slow
@settings(max_examples=2000)
@given(broken(), st.sampled_from(OPTIONS))
def test_many_weights_work_or_are_named(model: Broken, options: dict[str, object]) -> None:
    works_or_is_named(model, options)


@pytest.mark.parametrize("kind", some_fast("pre-norm", "integer", "llama"))
def test_zeroed_tensors_work(kind: str) -> None:
    """Every tensor of the last layer, and of what has no layers; but for |delta|, without which a
    polynomial may weigh nothing, in the float model too."""
    names = [name for name in random_model(kind).tensors if not re.search(r"\.0\.|delta", name)]
    for name in names:
        model = random_model(kind)
        model.tensors[name] = np.zeros_like(model.tensors[name])
        found = agreement(model, *imported(model))
        assert found.divergence < 0.05, name


@pytest.mark.parametrize("kind", some_fast("recurrent", "post-norm", "llama"))
@pytest.mark.parametrize("options", [{}, {"requantize": "shift"}, {"rescaling": "dynamic"}])
def test_zeroed_sublayers_work(kind: str, options: dict[str, object]) -> None:
    """As those of a pruned model: the weights of a whole sublayer, biases and all."""
    blocks = {name.rpartition(".")[0].rpartition(".")[0] for name in random_model(kind).tensors}
    for block in sorted(block for block in blocks if block.count(".") == 2):
        model = random_model(kind)
        for name, tensor in model.tensors.items():
            if name.startswith(f"{block}.") and "norm" not in name and "delta" not in name:
                model.tensors[name] = np.zeros_like(tensor)
        found = agreement(model, *imported(model, **options))
        assert found.divergence < 0.05, block
