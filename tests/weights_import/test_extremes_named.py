"""Weights that an import refuses or warns of: the message names them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_training
from every_kind import random_model
from extreme_weights import one
from extremes import imported
from safetensors import safe_open
from safetensors.numpy import save_file

from int8ref.files.model_file import load
from weights_import.__main__ import main
from weights_import.errors import CheckpointError, LoweringError
from weights_import.lowering import products
from weights_import.lowering.scale_propagation import fixed_point
from weights_import.outliers import outliers
from weights_import.tensors import Float32


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder.1.self.query.weight", "encoder.1.self.query"),
        ("decoder.0.ffn.outer.weight", "decoder.0.ffn.outer"),
        ("decoder.1.ffn.norm.gain", "decoder.1.ffn.norm"),
        ("source_embedding", "encoder.embedding"),
    ],
)
def test_what_leaves_float32_is_named(name: str, value: str) -> None:
    model = random_model("post-norm")
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


def test_an_error_of_the_lowering_names_its_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("pre-norm")
    monkeypatch.setattr(products, "integer_bias", lambda *_, **__: fixed_point(np.array(9e9), 0))
    with pytest.raises(
        LoweringError, match=r"^encoder.0.self.context: 9000000000.0 \* 2\^0 does not fit"
    ):
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
        r"error: encoder.0.self.output: .* 3e\+38 in encoder.0.self.output.weight\[", told
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
