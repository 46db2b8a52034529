"""The readers of more decoder families: equal to transformers, refusals and damage."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_more_decoders as tiny
from damage import FUZZ, damage
from decoder_checks import assert_logits_of_transformers, integer_loss, written
from hypothesis import given, settings
from hypothesis import strategies as st
from log_probabilities import log_probabilities

from weights_import import sources
from weights_import.errors import CheckpointError

TARGET = [4, 5, 6, 3, 11, 9, 2, 7]
# log P of each token of TARGET after token 1, by transformers 5.24.0 in float32.
SCORES = {
    "gpt_bigcode": [-1.74453, -4.66383, -5.94725, -5.72887, -3.68104, -6.11326, -8.81836, -6.75177],
    "gpt_bigcode, own keys": [
        -4.0347, -2.84306, -5.76239, -2.66782, -4.35581, -0.98894, -6.16066, -4.84237,
    ],
    "codegen": [-2.40073, -5.48504, -3.54353, -6.49957, -9.02423, -1.57346, -2.5333, -4.03113],
    "cohere": [-0.65389, -5.18912, -5.26701, -2.65403, -5.08821, -1.64649, -3.95397, -2.68986],
    "cohere, norms of heads": [
        -4.93519, -8.52446, -2.6275, -6.01324, -0.22705, -7.99876, -3.24148, -5.9286,
    ],
    "cohere2": [-0.65389, -4.52487, -5.89954, -1.83327, -9.74156, -3.08714, -3.55266, -6.74263],
    "olmo3": [-5.05239, -6.25922, -5.38926, -4.22535, -4.16165, -9.05764, -4.95639, -5.88256],
    "ministral": [-4.71745, -2.82884, -7.81487, -2.5682, -7.87031, -2.51559, -9.36996, -6.76232],
    "seed_oss": [-5.29162, -4.71603, -5.11216, -2.14261, -3.31432, -5.74813, -4.7595, -4.50582],
    "helium": [-2.67758, -5.35589, -1.32512, -2.13725, -4.19474, -5.96157, -4.06519, -5.44092],
    "ernie4_5": [-3.35876, -5.40575, -5.27009, -3.34802, -3.52018, -3.43106, -4.45054, -0.7415],
    "glm": [-4.04199, -1.08277, -6.88538, -5.06321, -5.37957, -3.78107, -6.72442, -5.24263],
    "glm4": [-6.69903, -7.59808, -1.76481, -1.99804, -4.82746, -5.52252, -7.20531, -4.1105],
    "nemotron": [-3.10135, -3.27659, -2.03119, -4.13045, -3.91993, -4.83749, -2.49884, -6.84627],
    "xglm": [-5.52249, -4.3433, -4.92197, -7.02204, -0.20806, -7.71181, -5.36641, -4.43604],
    "arcee": [-4.60632, -5.24342, -1.39664, -3.3423, -5.75148, -2.86516, -3.1754, -3.29972],
}  # fmt: skip
TITLES = {
    "gpt_bigcode": "GPT-BigCode", "codegen": "CodeGen", "cohere": "Cohere", "cohere2": "Cohere 2",
    "olmo3": "OLMo 3", "ministral": "Ministral", "seed_oss": "Seed-OSS", "helium": "Helium",
    "ernie4_5": "ERNIE 4.5", "glm": "GLM", "glm4": "GLM 4", "nemotron": "Nemotron",
    "arcee": "Arcee", "xglm": "XGLM",
}  # fmt: skip


@pytest.mark.parametrize("case", tiny.CASES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    found = log_probabilities(model, [], TARGET)[:-1]
    np.testing.assert_allclose(found, SCORES[case], atol=3e-5)
    title = TITLES[tiny.CASES[case]["model_type"]]
    assert model.provenance["format"] == f"Hugging Face {title}"
    assert model.tensors.tied("output.weight") == tiny.CASES[case]["tie_word_embeddings"]
    assert model.warnings == []


@pytest.mark.parametrize("case", tiny.CASES)
def test_logits_are_those_of_an_installed_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(tiny.write(tmp_path, case))
    assert_logits_of_transformers(model, tmp_path, TARGET)


@pytest.mark.parametrize("case", ["cohere, norms of heads", "olmo3", "nemotron"])
def test_in_integers(case: str, tmp_path: Path) -> None:
    """The integer model loses less than 0.03 nats a token, on other texts than it has seen."""
    model = sources.read(tiny.write(tmp_path, case))
    texts = written(model, 80, 20)
    new = [(source, text[:19]) for source, text in texts[50:]]
    assert integer_loss(model, texts[:50], new) < 0.03


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gpt_bigcode", {"multi_query": False}, "attn.c_attn.weight: the shape [36, 24] has not 72"),
    ("gpt_bigcode", {"add_cross_attention": True}, "add_cross_attention"),
    ("codegen", {"rotary_dim": 7}, "rotary has 4 pairs of columns in heads of 6"),
    ("codegen", {"n_head": 5}, "d_model=24 is not divisible by heads=5"),
    ("cohere", {"use_qk_norm": True}, "missing decoder.0.self.query_norm.gain [24]"),
    ("cohere, norms of heads", {"use_qk_norm": False}, "unused model.layers.0.self_attn.k_norm"),
    ("cohere2", {"layer_types": ["full_attention"]}, "layer_types lists 1 of 2 layers"),
    ("cohere2", {"use_qk_norm": True}, "use_qk_norm"),
    (
        "olmo3",
        {"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}},
        "rope scaling 'linear' of sliding_attention (supported: default)",
    ),
    ("seed_oss", {"attention_out_bias": True}, "0 biases for 2 matrices of self_attn.o_proj"),
    ("ernie4_5", {"use_bias": False}, "8 biases for 8 matrices of self_attn, where the configurat"),
    ("glm", {"head_dim": None}, "self_attn.q_proj.weight: the shape [32, 24] has not 512 rows"),
    ("nemotron", {"hidden_act": "gelu"}, "hidden_act"),
    ("xglm", {"max_position_embeddings": 1 << 15}, "max_position_embeddings"),
    ("xglm", {"attention_heads": 5}, "d_model=24 is not divisible by heads=5"),
    ("arcee", {"mlp_bias": True}, "0 biases for 4 matrices of mlp"),
]


@pytest.mark.parametrize(("case", "changes", "message"), REFUSED)
def test_what_is_refused(case: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tiny.write(tmp_path, case, **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@settings(FUZZ, max_examples=25)
@given(data=st.data(), case=st.sampled_from(["gpt_bigcode", "cohere, norms of heads", "nemotron"]))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    path = tiny.write(tmp_path, case)
    damage(data, [path, tmp_path / "config.json"], 4000)
    with contextlib.suppress(CheckpointError):
        sources.read(path)
