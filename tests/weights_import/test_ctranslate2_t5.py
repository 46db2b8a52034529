"""T5 models in CTranslate2's format: equal to CTranslate2 and to their definition."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import real_ctranslate2_t5 as real
import tiny_t5 as tiny
from damage import FUZZ, damage
from hypothesis import given, settings
from hypothesis import strategies as st
from log_probabilities import log_probabilities
from real_ctranslate2 import scores

from weights_import import sources
from weights_import.errors import CheckpointError
from weights_import.forward import forced
from weights_import.sources.ctranslate2_file import contents
from weights_import.sources.ctranslate2_variables import Variables

CASES = ("t5", "flan", "umt5")
SOURCE = [15, 17, 3, 17, 10, 12, 14, 4, 5, 15, 6, 18, 14, 14, 18, 8, 9, 13, 3, 19, 13, 10, 1]
TARGET = [4, 5, 6, 3, 11, 9, 7, 13, 3, 3, 8, 17, 12, 10, 5, 4]


def tokens(ids: list[int]) -> list[str]:
    return [real.PIECES[i] for i in ids]


@pytest.mark.parametrize("quantisation", ["float32", "int8", "float16"])
@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_ctranslate2_computes(
    case: str, quantisation: str, tmp_path: Path
) -> None:
    folder = real.write(tmp_path, case, quantisation)
    model = sources.read(folder)
    wanted = scores(folder, tokens(SOURCE), tokens(TARGET))
    np.testing.assert_allclose(log_probabilities(model, SOURCE, TARGET), wanted, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_the_definition(case: str, tmp_path: Path) -> None:
    model = sources.read(real.write(tmp_path, case))
    (found,) = forced(model, [SOURCE], [TARGET])
    definition = tiny.Definition(tiny.tensors(tiny.CASES[case]), tiny.CASES[case])
    np.testing.assert_allclose(found, definition.logits(SOURCE, [0, *TARGET]), atol=2e-5)


def test_what_the_file_tells(tmp_path: Path) -> None:
    model = sources.read(real.write(tmp_path, "t5"))
    generation = model.generation
    assert (generation.start, generation.eos, generation.unk) == (0, 1, 2)
    assert (generation.frame.before, generation.frame.after) == ((), (1,))
    assert (generation.max_positions, model.doubt, model.warnings) == (0, "", [])
    assert model.tensors.tied("output.weight")


def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = real.write(tmp_path, "t5") / "model.bin"

    def refused(changed: str, become: str, message: str) -> None:
        told = contents(path).variables
        told = {name.replace(changed, become): value for name, value in told.items()}
        variables = Variables(told)
        with monkeypatch.context() as patch:
            patch.setattr(
                "weights_import.sources.ctranslate2_transformer.Variables", lambda _: variables
            )
            with pytest.raises(CheckpointError) as caught:
                sources.read(path)
        assert message in str(caught.value)

    bias = "self_attention/relative_attention_bias"
    refused(f"encoder/layer_1/{bias}", "lost", f"missing encoder/layer_1/{bias}")
    refused("alignment_layer", "relative_position_keys", "relative positions (Shaw et al. 2018)")
    refused("num_heads", "lost", "8 heads do not divide the 60 rows of their matrix")


@settings(FUZZ, max_examples=25)
@given(data=st.data(), case=st.sampled_from(CASES))
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject, case: str) -> None:
    folder = real.write(tmp_path, case)
    damage(data, [folder / "model.bin", folder / "config.json"], 6000)
    with contextlib.suppress(CheckpointError):
        sources.read(folder)
