"""What sentence-transformers tells beside a Transformer: pooling, products, lengths of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders as tiny
from encoder_definitions import Model, pooled
from safetensors.numpy import load_file, save_file
from torch_writer import saved

from int8ref.engines.backends import load_engine
from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.forward import outputs
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.tensors import Float64

IDS = [2, 8, 13, 30, 44, 5, 20, 3]
MEAN: dict[str, Any] = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


def defined(folder: Path) -> Float64:
    """Return the rows of IDS by the definition."""
    config = json.loads((folder / "config.json").read_text())
    return Model(load_file(folder / "model.safetensors"), config).rows(IDS)


@pytest.mark.parametrize(
    ("told", "pooling"),
    [
        (MEAN, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_lasttoken": True, "include_prompt": True}, "last"),
        ({"embedding_dimension": 24, "pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_pooling(told: dict[str, Any], pooling: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    tiny.write_modules(tmp_path, told, "Normalize")
    model = sources.read(path)
    assert model.warnings == []
    (found,) = outputs(model, [IDS])
    np.testing.assert_allclose(found, pooled(defined(tmp_path), pooling), atol=1e-4)


def dense(folder: Path, activation: str, bias: bool = True, zipped: bool = False) -> list[Float64]:
    """Write a step with a product.  Return its tensors."""
    random = np.random.default_rng(5)
    weight, added = random.normal(0, 0.4, (20, 24)), random.normal(0, 0.4, 20)
    stored = {"linear.weight": weight.astype("f4"), "linear.bias": added.astype("f4")}
    stored = stored if bias else {"linear.weight": stored["linear.weight"]}
    (folder / "2_Dense").mkdir()
    told = {"in_features": 24, "out_features": 20, "bias": bias}
    told["activation_function"] = f"torch.nn.modules.{activation}"
    (folder / "2_Dense" / "config.json").write_text(json.dumps(told))
    if zipped:
        (folder / "2_Dense" / "pytorch_model.bin").write_bytes(saved(stored))
    else:
        save_file(stored, folder / "2_Dense" / "model.safetensors")
    return [weight, added if bias else np.zeros(20)]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "activation"), [("activation.Tanh", np.tanh), ("linear.Identity", np.copy)]
)
def test_a_product_behind_the_pooling(
    name: str, activation: Any, zipped: bool, tmp_path: Path
) -> None:
    path = tiny.write(tmp_path, "bert")
    tiny.write_modules(tmp_path, MEAN, "Dense", "Normalize")
    weight, bias = dense(tmp_path, name, activation is np.tanh, zipped)
    wanted = activation(weight @ defined(tmp_path).mean(0) + bias)
    wanted /= np.sqrt((wanted**2).sum())
    model = sources.read(path)
    (exact,) = outputs(model, [IDS])
    np.testing.assert_allclose(exact, wanted, atol=1e-4)
    random = np.random.default_rng(0)
    seen = [[2, *random.integers(5, 40, n).tolist(), 3] for n in range(1, 20)] * 3
    program, tensors = lower(model, [*seen, IDS], [], LoweringOptions(positions=30))
    found = load_engine(program, tensors, "compiled").outputs([IDS])[0].astype(float)
    assert exact @ found / np.sqrt(found @ found) > 0.99
    listed = {file.relative_to(tmp_path).as_posix() for file in sources.files(tmp_path)}
    container = "pytorch_model.bin" if zipped else "model.safetensors"
    assert listed >= {"modules.json", "1_Pooling/config.json", f"2_Dense/{container}"}


def test_a_transformer_in_a_folder_of_its_own(tmp_path: Path) -> None:
    inner = tmp_path / "0_Transformer"
    inner.mkdir()
    tiny.write(inner, "distilbert")
    tiny.write_modules(tmp_path, {"pooling_mode_cls_token": True}, "Normalize")
    listed = json.loads((tmp_path / "modules.json").read_text())
    listed[0]["path"] = "0_Transformer"
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    (found,) = outputs(sources.read(tmp_path), [IDS])
    np.testing.assert_allclose(found, pooled(defined(inner), "cls"), atol=1e-4)


def test_the_longest_text_and_lengths_that_are_lost(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    tiny.write_modules(tmp_path, MEAN)
    limits = {"max_seq_length": 17, "do_lower_case": True}
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps(limits))
    model = sources.read(path)
    assert model.generation.max_positions == 17
    assert [told.partition(":")[0] for told in model.warnings] == [
        "the checkpoint does not normalise embeddings, but int8ref does",
        "sentence_bert_config.json",
    ]


def test_a_model_with_labels_reads_no_pooling(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert, labels")
    tiny.write_modules(tmp_path, {"pooling_mode_max_tokens": True})
    assert sources.read(path).labels


REFUSED: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"pooling_mode_max_tokens": True}, ("Normalize",), "pooling by pooling_mode_max_tokens"),
    (MEAN | {"pooling_mode_cls_token": True}, (), "mean_tokens and pooling_mode_cls_token"),
    ({}, (), "pooling by nothing"),
    ({"pooling_mode": "weightedmean"}, (), "pooling by weightedmean"),
    (MEAN, ("Normalize", "Dense"), "the steps Transformer, Pooling, Normalize, Dense are not"),
    (MEAN, ("LSTM",), "the steps Transformer, Pooling, LSTM are not read"),
    (MEAN, ("Dense",), "2_Dense"),
]


@pytest.mark.parametrize(("pooling", "more", "told"), REFUSED)
def test_steps_that_are_not_read(
    pooling: dict[str, Any], more: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    path = tiny.write(tmp_path, "bert")
    tiny.write_modules(tmp_path, pooling, *more)
    with pytest.raises(CheckpointError, match=told):
        sources.read(path)


@pytest.mark.parametrize("place", ["../x", "/etc", "a/../../b", "a\\b", "a\0"])
def test_a_folder_outside_the_checkpoint(place: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    tiny.write_modules(tmp_path, MEAN)
    listed = json.loads((tmp_path / "modules.json").read_text())
    listed[1]["path"] = place
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(CheckpointError, match="is not in the checkpoint"):
        sources.read(path)


def test_an_unknown_activation(tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    tiny.write_modules(tmp_path, MEAN, "Dense")
    dense(tmp_path, "activation.Mish")
    with pytest.raises(CheckpointError, match="the activation 'Mish' is not read"):
        sources.read(path)
