"""The reader of T5 models: equal to their definition and to transformers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_t5 as tiny
from damage import FUZZ, damage
from extremes import log_softmax, logits
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from safetensors.numpy import load_file

from int8ref.engines.backends import load_engine
from int8ref.program.program import Program, Tensors
from int8ref.reference.attention_softmax import AttentionSoftmax
from int8ref.search import BeamOptions
from tests.helpers.engines import requests
from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.float_model import FloatModel
from weights_import.forward import forced
from weights_import.lower import lower
from weights_import.lowering.options import LoweringOptions

SOURCE = [15, 17, 3, 17, 10, 12, 14, 4, 5, 15, 6, 18, 14, 14, 18, 8, 9, 20, 13, 3, 19, 13, 10, 1]
TARGET = [4, 5, 6, 3, 11, 9, 2, 7, 20, 13, 3, 3, 8, 17, 12, 10, 5, 4]
# log P of the first eight tokens of TARGET for SOURCE, by transformers 5.24.0 in float32.
SCORES = {
    "t5": [-3.16338, -2.89185, -3.53037, -2.81277, -3.10088, -3.26792, -3.10189, -3.14105],
    "flan": [-1.59681, -2.97988, -3.11537, -4.4067, -4.602, -3.4086, -4.86241, -3.50398],
    "t5 of transformers 5": [
        -2.63622, -2.68703, -3.57115, -2.96831, -3.94783, -3.62497, -4.17208, -3.15358,
    ],
    "mt5": [-3.1004, -2.8497, -2.34703, -4.5781, -2.76602, -4.44489, -5.24118, -4.85743],
    "umt5": [-3.39405, -2.90401, -2.83933, -3.13289, -3.38648, -2.75353, -3.05914, -2.95819],
}  # fmt: skip
Batch = list[list[int]]


@pytest.mark.parametrize("case", tiny.CASES)
def test_logits_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, case)
    model = sources.read(path)
    found = forced(model, [SOURCE, [1]], [TARGET, TARGET[:1]])
    definition = tiny.Definition(load_file(path), tiny.CASES[case])
    np.testing.assert_allclose(found[0], definition.logits(SOURCE, [0, *TARGET]), atol=2e-5)
    np.testing.assert_allclose(found[1], definition.logits([1], [0, *TARGET[:1]]), atol=2e-5)


@pytest.mark.parametrize("case", tiny.CASES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    found = log_probabilities(model, SOURCE, TARGET)[: len(SCORES[case])]
    np.testing.assert_allclose(found, SCORES[case], atol=3e-5)


@pytest.mark.parametrize("case", tiny.CASES)
def test_logits_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the reference of transformers needs torch")
    transformers = pytest.importorskip("transformers", reason="it is the reference")
    model = sources.read(tiny.write(tmp_path, case))
    other = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        told = other(torch.tensor([SOURCE]), decoder_input_ids=torch.tensor([[0, *TARGET]]))
    (found,) = forced(model, [SOURCE], [TARGET])
    np.testing.assert_allclose(found, told.logits[0].numpy(), atol=1e-4)


STEPS = 12


def texts(model: FloatModel, count: int, seed: int) -> tuple[Batch, Batch]:
    """Return random sources, and targets of STEPS tokens."""
    random, most = np.random.default_rng(seed), model.generation.target_vocabulary
    many = [random.integers(2, most, random.integers(1, 30)).tolist() for _ in range(count)]
    targets = random.integers(2, most, (count, STEPS)).tolist()
    return [[*ids, model.generation.eos] for ids in many], targets


def lowered(model: FloatModel, **options: Any) -> tuple[Program, Tensors]:
    return lower(model, *texts(model, 60, 0), LoweringOptions(**options))


@pytest.mark.parametrize("case", tiny.CASES)
def test_in_integers(case: str, tmp_path: Path) -> None:
    """The divergence from the float model is below 0.01 nats, on other texts than it has seen."""
    model = sources.read(tiny.write(tmp_path, case))
    program, tensors = lowered(model)
    unit = program.log_softmax.multiplier * 2.0 ** -(program.log_softmax.shift + 20) * np.log(2)
    text = texts(model, 10, 1)
    found = log_softmax(logits(program, tensors, *text, ["compiled"]) * unit)
    exact = log_softmax(np.stack(forced(model, *text)))
    assert (np.exp(exact) * (exact - found)).sum(axis=-1).mean() < 0.01


def test_translations_are_the_same_on_both_backends_in_any_batch(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "umt5"))
    program, tensors = lowered(model)
    reference, compiled = (load_engine(program, tensors, b) for b in ("reference", "compiled"))
    asked, options = requests(texts(model, 4, 2)[0], [7] * 4), BeamOptions(beam_size=3)
    wanted = reference.beam(asked, options)
    assert compiled.beam(asked, options) == wanted
    assert [compiled.beam([one], options)[0] for one in asked] == wanted
    assert compiled.greedy(asked) == reference.greedy(asked)


def test_the_tables_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    """The last bucket begins at distance 7 for both directions, and at 14 for one."""
    program, _ = lowered(sources.read(tiny.write(tmp_path, "t5")))
    attentions = [
        i for i in (*program.encoder, *program.decoder) if isinstance(i, AttentionSoftmax)
    ]
    reaches = [(i.before, i.after) for i in attentions if isinstance(i.addend, str)]
    assert reaches == [(7, 7)] * tiny.LAYERS + [(14, 0)] * tiny.DECODER_LAYERS
    assert len(attentions) == tiny.LAYERS + 2 * tiny.DECODER_LAYERS


def test_few_positions_need_shorter_tables(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "t5"))
    program, _ = lower(model, [[5, 6, 1]], [[7]], LoweringOptions(positions=5))
    reaches = {(i.before, i.after) for i in program.encoder if isinstance(i, AttentionSoftmax)}
    assert reaches == {(2, 2)}  # the distances 2, 3 and 4 have one bucket


def test_what_the_configuration_tells(tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, "flan", eos_token_id=[5, 1]))
    assert model.provenance["format"] == "Hugging Face T5"
    generation = model.generation
    assert (generation.start, generation.eos, generation.max_positions) == (0, 5, 0)
    assert generation.frame.after == (5,)
    assert (generation.more_eos, model.warnings) == ((1,), [])
    assert not model.tensors.tied("output.weight")
    assert sources.read(tiny.write(tmp_path, "t5")).tensors.tied("output.weight")


def test_untied_matrices_of_a_configuration_of_transformers_5(tmp_path: Path) -> None:
    """transformers 5 says that all matrices are tied, and reads a matrix that differs."""
    content = tiny.tensors(tiny.CASES["flan"])
    told = {"tie_word_embeddings": True, "scale_decoder_outputs": False}
    (wanted,) = forced(sources.read(tiny.write(tmp_path, "flan")), [SOURCE], [TARGET])
    (found,) = forced(
        sources.read(tiny.write(tmp_path, "flan", content, **told)), [SOURCE], [TARGET]
    )
    np.testing.assert_array_equal(found, wanted)


def test_tensors_that_older_files_have(tmp_path: Path) -> None:
    """Copies of the table, and biases of the attention to the source, which no model uses."""
    content = tiny.tensors(tiny.CASES["t5"])
    (wanted,) = forced(sources.read(tiny.write(tmp_path, "t5")), [SOURCE], [TARGET])
    for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"):
        content[name] = content["shared.weight"].copy()
    name = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    content[name] = np.ones((tiny.BUCKETS, tiny.HEADS), np.float32)
    model = sources.read(tiny.write(tmp_path, "t5", content))
    np.testing.assert_array_equal(forced(model, [SOURCE], [TARGET])[0], wanted)
    assert model.tensors.tied("output.weight")


LARGE = 1 << 20
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"relative_attention_num_buckets": 2}, "2 buckets of relative positions up to a distance of"),
    ({"relative_attention_num_buckets": LARGE}, "buckets of relative positions up to a distance"),
    ({"relative_attention_max_distance": 4}, "8 buckets of relative positions up to a distance of"),
    ({"relative_attention_num_buckets": 12}, "relative_attention_bias.weight [8, 4], expected [12"),
    ({"num_heads": LARGE}, "num_heads: "),
    ({"num_heads": 5}, "relative_attention_bias.weight [8, 4], expected [8, 5]"),
    ({"d_kv": 6}, "wrong shape encoder.0.self.query.weight [20, 24], expected [24, 24]"),
    ({"num_layers": 3}, "missing encoder.2.self.norm.gain [24]"),
    ({"num_layers": 1}, "unused encoder.block.1.layer.0.SelfAttention.q.weight [20, 24]"),
    ({"feed_forward_proj": "gated-mish"}, "feed_forward_proj: "),
    ({"feed_forward_proj": "gated-gelu"}, "missing encoder.0.ffn.gate.weight [20, 24]"),
    ({"model_type": "umt5", "feed_forward_proj": "relu"}, "missing encoder.1.self.addend [4, 15]"),
    ({"vocab_size": 22}, "wrong shape source_embedding [21, 24], expected [22, 24]"),
    ({"eos_token_id": 21}, "eos=21 is outside a vocabulary of 21"),
    ({"decoder_start_token_id": 21}, "start=21 is outside a vocabulary of 21"),
    ({"forced_bos_token_id": 4}, "forced_bos_token_id: "),
    ({"is_encoder_decoder": False}, "is_encoder_decoder: "),
    ({"d_model": None}, "d_model"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, "t5", **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_tables_of_both_sides_that_differ_are_refused(tmp_path: Path) -> None:
    content = tiny.tensors(tiny.CASES["t5"])
    content["decoder.embed_tokens.weight"] = content["shared.weight"] + 1
    with pytest.raises(CheckpointError, match=r"shared\.weight and decoder\.embed_tokens\.weight"):
        sources.read(tiny.write(tmp_path, "t5", content))


@FUZZ
@given(data=st.data(), case=st.sampled_from(sorted(tiny.CASES)))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    path = tiny.write(tmp_path, case)
    damage(data, [path, tmp_path / "config.json"], 6000)
    with contextlib.suppress(CheckpointError):
        sources.read(path)
