"""Weights that no good training gives: the integer model works, or an error names the weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tiny_training
from _pytest.mark import ParameterSet
from extremes import KINDS, OPTIONS, agreement, imported, logits, random_model, sentences
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from int8ref.errors import UserError
from int8ref.files.model_file import load
from int8ref.reference.linear import Linear
from weights_import import emitter
from weights_import.__main__ import main
from weights_import.float_model import CheckpointError, Float32, FloatModel
from weights_import.outliers import outliers
from weights_import.scale_propagation import LoweringError, fixed_point

NAMES = {kind: sorted(random_model(kind).tensors) for kind in KINDS}


def some_fast(*fast: str) -> list[ParameterSet]:
    """Return all kinds of models.  Kinds outside `fast` run in the slow tests."""
    return [pytest.param(kind, marks=[] if kind in fast else pytest.mark.slow) for kind in KINDS]


FACTORS = [10.0**power for power in (-45, -38, -30, -20, -12, -6, -3, 3, 6, 9, 12, 18, 20, 25, 30)]


def one(tensor: Float32, factor: float) -> Float32:
    """Set one element in the middle to `factor`."""
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
    try:
        program, tensors = imported(model, **options)
    except UserError as error:
        told = str(error)
        assert re.match(r"(encoder|decoder|source|target|output)[\w.]*: .*\d in \w+", told), told
        assert "repair these weights" in told
        return
    alone = not model.architecture.encoder_layers
    batch = [[], []] if alone else sentences(model, 2, 1)
    logits(program, tensors, batch, [[5, 6, 7], [3, 2, 9]])


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


@pytest.mark.parametrize("kind", ["recurrent", "pre-norm", "llama"])
def test_small_values_are_told_from_zero(kind: str) -> None:
    """Without an epsilon, a norm gives the same result for a stream that is 10^12 times smaller."""
    model = random_model(kind)
    for name, tensor in model.tensors.items():
        if name.endswith(("embedding", "output.weight", "outer.weight", "output.bias")):
            model.tensors[name] = tensor * np.float32(1 if name.startswith("output") else 1e-12)
    if kind != "llama":
        model.architecture = replace(model.architecture, start=2, max_positions=24)
        model.tensors["positions"] = np.zeros((24, 8), np.float32)
    model.architecture = replace(model.architecture, norm_epsilon=0.0)
    assert agreement(model, *imported(model)).divergence < 0.05


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder.1.self.query.weight", "encoder.1.self.query"),
        ("decoder.0.ffn.outer.weight", "decoder.0.ffn.sum"),
        ("decoder.1.ffn.norm.gain", "decoder.1.ffn.norm"),
        ("source_embedding", "encoder.embedding"),
    ],
)
def test_what_leaves_float32_is_named(name: str, value: str) -> None:
    model = random_model("post-norm")
    model.architecture = replace(model.architecture, embedding_norm=False)
    model.tensors = {n: t for n, t in model.tensors.items() if "embedding_norm" not in n}
    model.tensors[name] = np.full_like(model.tensors[name], 3e38)
    with pytest.raises(CheckpointError) as caught:
        imported(model)
    told = str(caught.value)
    assert told.startswith(f"{value}: the float model itself gives ")
    assert f"3e+38 in {name}[" in told


def test_tensors_that_are_no_numbers_are_named_first() -> None:
    model = random_model("integer")
    model.tensors["decoder.1.cross.key.bias"][3] = np.nan
    with pytest.raises(CheckpointError, match=r"weights are nan in decoder.1.cross.key.bias\[3\]"):
        imported(model)


def test_a_polynomial_that_weighs_nothing_is_named() -> None:
    model = random_model("integer")
    model.tensors["encoder.0.self.delta"][:] = 0
    model.tensors["encoder.0.self.score_bias"][:] = -99
    with pytest.raises(CheckpointError, match=r"all zero are encoder\.0\.self\.delta"):
        imported(model)


def test_an_error_of_the_lowering_names_its_sublayer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("pre-norm")
    monkeypatch.setattr(emitter, "integer_bias", lambda *_, **__: fixed_point(np.array(9e9), 0))
    with pytest.raises(LoweringError, match=r"^encoder.0.self: 9000000000.0 \* 2\^0 does not fit"):
        imported(model)


def test_large_weights_are_told_all_at_once() -> None:
    model = random_model("pre-norm")
    assert not [*outliers(model)]
    for name in ("decoder.1.ffn.inner.weight", "output.weight", "encoder.0.ffn.norm.bias"):
        model.tensors[name] = one(model.tensors[name], -1e6)
    model.tensors["encoder.1.ffn.norm.bias"] = one(np.zeros(8, np.float32), 999)
    model.tensors["output.bias"][4] = -1e9
    inner, norm, output = outliers(model)
    assert norm.startswith("encoder.0.ffn.norm.bias[4] is -1e+06, ")
    assert inner.startswith(
        "decoder.1.ffn.inner.weight[6, 4] is -1e+06, the other weights about 0."
    )
    assert output.startswith("output.weight[5, 4] is -1e+06, ")
    model.tensors["output.weight"] = one(np.zeros_like(model.tensors["output.weight"]), 1e6)
    assert len([*outliers(model)]) == 2


def changed(folder: Path, name: str, change: Callable[[Float32], Float32]) -> list[str]:
    """Write a checkpoint with one changed tensor.  Return arguments of the command."""
    path = tiny_training.write(folder)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors[name] = change(tensors[name])
    save_file(tensors, path, metadata)
    (folder / "text").write_text("".join(f"{line}\n" for line in tiny_training.SENTENCES))
    return [str(path), "-o", str(folder / "out.safetensors"), "--calibration", f"{folder / 'text'}"]


def test_the_command_imports_zeroed_weights_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "encoder.layers.0.self_attention.query.weight"
    assert main([*changed(tmp_path, name, np.zeros_like), "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert load(tmp_path / "out.safetensors").program.encoder


def test_the_command_names_what_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "encoder.layers.0.self_attention.output.weight"
    arguments = changed(tmp_path, name, lambda x: x + np.float32(3e38))
    assert main([*arguments, "-q"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(
        r"error: encoder.0.self.sum: .* 3e\+38 in encoder.0.self.output.weight\[", told
    )
    assert not (tmp_path / "out.safetensors").exists()


def test_the_command_warns_of_a_large_weight_before_the_long_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "decoder.layers.1.feed_forward.expand.weight"
    assert main(changed(tmp_path, name, lambda x: one(x, 1e6))) == 0
    told = capsys.readouterr().err
    assert "decoder.1.ffn.inner.weight[12, 8] is 1e+06, " in told
    warning = told.index("int8ref: tiny.safetensors: decoder.1.ffn.inner.weight")
    assert warning < told.index("calibrating")
