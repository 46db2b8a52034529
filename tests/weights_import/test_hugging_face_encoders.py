"""The readers of encoders alone: equal to their definitions and to transformers."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import tiny_encoders as tiny
from damage import FUZZ, damage
from encoder_definitions import Model, pooled
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from int8ref.engines.backends import load_engine
from int8ref.program.program import SourceFrame
from int8ref.reference.log_softmax import log_softmax
from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.forward import outputs
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions
from weights_import.operations.pool import Pooling
from weights_import.pooling import pooled as with_pooling

IDS = [2, 8, 13, 30, 44, 5, 20, 3]
# For labels log P of each label, else the first numbers of the embedding, the unit vector of the
# mean of all rows, by transformers 5.24.0 in float32.
VALUES = {
    "bert": [0.02578, 0.14015, -0.08193, -0.25752, -0.14579, -0.08529],
    "bert, labels": [-2.72229, -2.4953, -0.1604],
    "bert, words": [0.02748, 0.15845, -0.06744, -0.2545, -0.17857, -0.00336],
    "roberta": [-0.1418, 0.21016, 0.1186, 0.18985, -0.05516, -0.04908],
    "roberta, labels": [-1.48972, -2.36775, -0.38438],
    "xlm-roberta": [-0.1418, 0.21016, 0.1186, 0.18985, -0.05516, -0.04908],
    "camembert": [-0.1418, 0.21016, 0.1186, 0.18985, -0.05516, -0.04908],
    "mpnet": [-0.12657, 0.39265, 0.05055, -0.24391, 0.34675, -0.04528],
    "mpnet, labels": [-2.96857, -0.97007, -0.56288],
    "distilbert": [0.09095, 0.48919, -0.1906, -0.24302, 0.00814, -0.38273],
    "distilbert, labels": [-5.1359, -0.97259, -0.48448],
    "electra": [-0.02536, 0.19938, 0.09877, -0.29503, 0.39109, -0.02642],
    "albert": [-0.08404, -0.09947, 0.3291, 0.03494, -0.24966, -0.04196],
    "albert, labels": [-0.90548, -0.65342, -2.58512],
    "electra, labels": [-4.30293, -2.818, -0.07608],
}  # fmt: skip
LABELS = [case for case in tiny.CASES if case.endswith("labels")]
EMBEDDINGS = [case for case in tiny.CASES if case not in LABELS]


def config_of(folder: Path) -> tiny.Config:
    config: tiny.Config = json.loads((folder / "config.json").read_text())
    return config


def normalized(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def texts(seed: int, count: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [[2, *random.integers(5, tiny.VOCABULARY, n).tolist(), 3] for n in range(1, count + 1)]


@pytest.mark.parametrize("case", tiny.CASES)
def test_outputs_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, case)
    model, defined = sources.read(path), Model(load_file(path), config_of(tmp_path))
    batch = [IDS, [2, 3], *texts(0, 9)]
    for ids, found in zip(batch, outputs(model, batch), strict=True):
        wanted = defined.logits(ids) if case in LABELS else pooled(defined.rows(ids), "mean")
        np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("case", tiny.CASES)
def test_outputs_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    (found,) = outputs(sources.read(tiny.write(tmp_path, case)), [IDS])
    if case in LABELS:
        found = normalized(found)
    np.testing.assert_allclose(found[: len(VALUES[case])], VALUES[case], atol=3e-5)


@pytest.mark.parametrize("case", tiny.CASES)
def test_outputs_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the reference of transformers needs torch")
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    model = sources.read(tiny.write(tmp_path, case))
    kind = getattr(transformers, tiny.CASES[case]["architectures"][0])
    other = kind.from_pretrained(tmp_path, dtype=torch.float32).eval()
    with torch.no_grad():
        wanted = other(torch.tensor([IDS]), output_hidden_states=True)
    (found,) = outputs(model, [IDS])
    if case in LABELS:
        np.testing.assert_allclose(found, wanted.logits[0].numpy(), atol=1e-4)
    else:
        rows = wanted.hidden_states[-1][0].double().numpy()
        np.testing.assert_allclose(found, pooled(rows, "mean"), atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_pooling(pooling: Pooling, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert")
    model, defined = sources.read(path), Model(load_file(path), config_of(tmp_path))
    (found,) = outputs(with_pooling(model, pooling), [IDS])
    np.testing.assert_allclose(found, pooled(defined.rows(IDS), pooling), atol=1e-4)


def in_integers(model: FloatModel) -> tuple[np.ndarray, np.ndarray, FloatModel]:
    """Return the outputs in floats and in integers, of texts that calibration has not seen."""
    seen, new = texts(1, 34) * 3, texts(2, 34)
    seen = [ids[:1] + list(np.roll(ids[1:-1], i)) + ids[-1:] for i, ids in enumerate(seen)]
    program, tensors = lower(model, seen, [], LoweringOptions(positions=36, weights="full"))
    engine = load_engine(program, tensors, "compiled")
    found = engine.outputs(new)
    if model.labels:
        softmax = program.softmax
        found = log_softmax(found, softmax.multiplier, softmax.shift) / 2**20 * np.log(2)
    return outputs(model, new).astype(np.float64), found.astype(np.float64), model


@pytest.mark.parametrize("case", ["bert", "roberta", "distilbert", "electra", "mpnet", "albert"])
def test_embeddings_in_integers(case: str, tmp_path: Path) -> None:
    exact, found, _ = in_integers(sources.read(tiny.write(tmp_path, case)))
    lengths = np.sqrt((found**2).sum(1))
    cosines = (exact * found).sum(1) / lengths
    assert cosines.mean() > 0.998
    assert cosines.min() > 0.99


@pytest.mark.parametrize("case", LABELS)
def test_labels_in_integers(case: str, tmp_path: Path) -> None:
    exact, found, _ = in_integers(sources.read(tiny.write(tmp_path, case)))
    wanted = normalized(exact)
    assert (np.exp(wanted) * (wanted - found)).sum(1).mean() < 0.02


def test_what_the_configuration_tells(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "bert, labels"))
    assert model.encodes
    assert model.labels == ("joy", "anger", "no label")
    assert model.provenance["format"] == "Hugging Face BERT"
    assert model.warnings == []
    generation = model.generation
    assert generation.frame == SourceFrame((2,), (3,))
    assert (generation.eos, generation.unk, generation.max_positions) == (3, 1, tiny.POSITIONS)


def test_positions_of_roberta_begin_behind_the_padding(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "roberta"))
    assert model.generation.max_positions == tiny.POSITIONS - 2


def test_two_labels_without_names(tmp_path: Path) -> None:
    case = "bert, labels"
    content = tiny.tensors(tiny.CASES[case])
    content |= {n: content[n][:2] for n in ("classifier.weight", "classifier.bias")}
    model = sources.read(tiny.write(tmp_path, case, content, id2label=None))
    assert model.labels == ("LABEL_0", "LABEL_1")


def test_heads_of_other_tasks_are_passed_over(tmp_path: Path) -> None:
    warnings = sources.read(tiny.write(tmp_path, "bert, words")).warnings
    assert "heads of another task are passed over: cls" in warnings
    assert any("--pooling" in told for told in warnings)


def test_names_of_old_files(tmp_path: Path) -> None:
    case = "bert, words"
    new = tiny.tensors(tiny.CASES[case])
    old = {
        n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        if "predictions" not in n
        else n: x
        for n, x in new.items()
    }
    assert old.keys() != new.keys()
    (tmp_path / "old").mkdir()
    wanted = outputs(sources.read(tiny.write(tmp_path, case)), [IDS])
    found = outputs(sources.read(tiny.write(tmp_path / "old", case, old)), [IDS])
    np.testing.assert_array_equal(found, wanted)


REFUSED = [
    ("bert", {"architectures": ["BertForTokenClassification"]}, "BertForTokenClassification"),
    ("bert", {"architectures": ["BertForQuestionAnswering"]}, "embeddings and labels of whole"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ("bert", {"is_decoder": True}, "is_decoder"),
    ("bert", {"hidden_act": "mish"}, "hidden_act"),
    ("bert", {"num_attention_heads": 5}, "not divisible by heads=5"),
    ("bert", {"vocab_size": 9}, r"wrong shape \[47, 24\] of embeddings.word_embeddings.weight"),
    ("bert", {"num_hidden_layers": 3}, "missing encoder.2.self.query.weight"),
    ("bert", {"num_hidden_layers": 1}, "unused encoder.layer.1"),
    ("bert", {"hidden_size": 20, "num_attention_heads": 4}, "wrong shape"),
    ("bert, labels", {"id2label": {"0": "a"}}, "gives one number"),
    ("bert, labels", {"id2label": {"0": "a", "2": "b", "1": "c"}}, "id2label: the keys"),
    ("bert, labels", {"id2label": {"0": "a", "1": "b"}}, "wrong shape output.weight"),
    ("bert, labels", {"problem_type": "multi_label_classification"}, "problem_type"),
    ("bert, labels", {"problem_type": "regression"}, "problem_type"),
    ("roberta", {"pad_token_id": 39}, "has no row 40"),
    ("electra", {"embedding_size": 12}, "wrong shape"),
    ("albert", {"num_hidden_groups": 2}, "num_hidden_groups"),
]


@pytest.mark.parametrize(("case", "changes", "told"), REFUSED)
def test_what_is_not_read_is_refused(
    case: str, changes: tiny.Config, told: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=told):
        sources.read(tiny.write(tmp_path, case, **changes))


@pytest.mark.parametrize("kind", ["deberta-v2", "modernbert", "nomic_bert"])
def test_kinds_that_are_not_read_are_named(kind: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "bert", model_type=kind)
    with pytest.raises(CheckpointError, match=f"a model of kind '{kind}', which is not read"):
        sources.read(path)


@FUZZ
@given(data=st.data())
def test_damaged_files(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = tiny.write(folder, data.draw(st.sampled_from([*tiny.CASES])))
    tiny.write_modules(folder, {"pooling_mode_cls_token": True}, "Normalize")
    names = "config.json", "vocab.txt", "modules.json", "1_Pooling/config.json"
    damage(data, [path, *(folder / name for name in names)], 2000, cut=True)
    with contextlib.suppress(CheckpointError):
        model = sources.read(path)
        outputs(model, [model.generation.frame.around([5])])
