"""Kinds of models that are not read: a sentence that names the reason and the way round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.sources import unread_kinds
from weights_import.sources.unread_kinds import (
    EXPERTS,
    KINDS,
    PICTURES,
    RECURRENT,
    RELATIVE,
    SOUND,
    Reason,
)

EXPECTED = {
    EXPERTS: "mixtral qwen2_moe qwen3_moe deepseek_v3 olmoe granitemoe phimoe switch_transformers"
    " gpt_oss nllb-moe some_new_moe",
    SOUND: "whisper wav2vec2 musicgen seamless_m4t qwen2_audio speecht5 some_asr granite_speech",
    PICTURES: "vit clip llava paligemma qwen2_vl mllama blip-2 some_vision_model clip_text_model",
    RECURRENT: "mamba rwkv recurrent_gemma xlstm new_mamba_thing",
    RELATIVE: "deberta deberta-v2 xlnet",
}


@pytest.mark.parametrize("reason", EXPECTED, ids=lambda reason: reason.why[:40])
def test_kinds_by_their_names(reason: Reason) -> None:
    for kind in EXPECTED[reason].split():
        assert unread_kinds.reason({"model_type": kind}) == reason, kind


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"num_local_experts": 8}, EXPERTS),
        ({"n_routed_experts": 64, "vision_config": {}}, EXPERTS),
        ({"num_experts": 1}, None),
        ({"num_experts": "many"}, None),
        ({"vision_config": {"x": 1}}, PICTURES),
        ({"audio_config": {}}, SOUND),
        ({"audio_config": None}, None),
        ({"model_type": ["x"]}, None),
    ],
)
def test_kinds_that_are_new(told: dict[str, Any], reason: Reason | None) -> None:
    assert unread_kinds.reason({"model_type": "unheard_of"} | told) == reason


def test_no_kind_has_two_reasons() -> None:
    listed = [kind for kinds in KINDS.values() for kind in kinds.split()]
    assert len(listed) == len(set(listed))
    read = {kind for source in sources.formats() for kind in getattr(source, "KINDS", ())}
    assert not read & set(listed) - {"gemma3"}


@pytest.mark.parametrize("kind", ["mixtral", "whisper", "vit", "mamba", "biogpt", "esm"])
def test_the_sentence(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x.weight": np.zeros(3, np.float32)}, path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(CheckpointError) as caught:
        sources.read(tmp_path)
    found = unread_kinds.reason({"model_type": kind})
    assert found is not None
    told = f"{path}: config.json tells of a model of kind '{kind}', which is not read, {found.why};"
    assert str(caught.value).startswith(told)
    assert found.way in str(caught.value)


AUDIO = "AUDIO_CLASSIFICATION", "CTC", "SPEECH_SEQ_2_SEQ", "TEXT_TO_WAVEFORM"
IMAGE = "IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "DEPTH_ESTIMATION", "VIDEO_CLASSIFICATION"


def test_kinds_of_an_installed_transformers() -> None:
    """Every kind that transformers lists for sound or pictures has that reason, or is a mixture of
    experts too."""
    pytest.importorskip("torch", reason="the tables of transformers need it")
    auto = pytest.importorskip(
        "transformers.models.auto.modeling_auto", reason="it lists all kinds"
    )
    for tasks, reasons in ((AUDIO, (SOUND, PICTURES)), (IMAGE, (PICTURES,))):
        for task in tasks:
            listed = getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES")
            for kind in [kind for kind in listed if kind.islower()]:
                assert unread_kinds.reason({"model_type": kind}) in (*reasons, EXPERTS), kind
