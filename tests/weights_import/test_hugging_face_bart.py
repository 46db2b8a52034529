"""The reader of BART models: equal to transformers; unsupported files; a real model in integers."""

# ruff: noqa: RUF001 - letters of pronunciations

from __future__ import annotations

import contextlib
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece
import tiny_hugging_face as tiny
from damage import FUZZ, damage
from hypothesis import given
from hypothesis import strategies as st
from log_probabilities import log_probabilities

import int8ref
from int8ref.program.program import SourceFrame
from weights_import import sources
from weights_import.__main__ import main
from weights_import.calibrate import tokenize
from weights_import.errors import CheckpointError
from weights_import.float_search import greedy
from weights_import.sources import hugging_face_bart

SOURCE, TARGET = [1, *range(3, 12), 2], [1, 4, 5, 6, 3]
CHANGES: dict[str, dict[str, Any]] = {
    "gelu": {"activation_function": "gelu"},
    "relu": {"activation_function": "relu"},
    "swish, scaled": {"activation_function": "swish", "scale_embedding": True},
}
# log P of each token of TARGET and of the end, by transformers 4.57.6 in float32.
SCORES = {
    "gelu": [-2.3864, -2.3199, -3.12844, -1.97336, -3.62801, -2.06118],
    "relu": [-2.40994, -2.32472, -3.09023, -1.98244, -3.57771, -2.05796],
    "swish, scaled": [-2.41716, -2.3721, -3.11621, -1.95977, -3.64509, -2.07105],
}
UNTIED = [-4.11869, -1.72996, -2.49808, -3.56101, -2.41457, -2.88543]
CHARACTERS = {"grapheme_chars": "____abcdef", "phoneme_chars": "____ABCDEFGHI"}


def write(folder: Path, **changes: Any) -> Path:
    return tiny.write(folder, tiny.bart_tensors(), **(tiny.BART | changes))


@pytest.mark.parametrize("case", CHANGES)
def test_log_probabilities_are_those_of_transformers(case: str, tmp_path: Path) -> None:
    model = sources.read(write(tmp_path, **CHANGES[case]))
    assert model.generation.frame == SourceFrame((1,), (2,))
    np.testing.assert_allclose(log_probabilities(model, SOURCE, TARGET), SCORES[case], atol=2e-5)


def test_characters_are_listed_in_the_configuration(tmp_path: Path) -> None:
    model = sources.read(write(tmp_path, **CHARACTERS))
    assert tokenize(model, ["fade"]) == [[1, 9, 4, 7, 8, 2]]
    made = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    assert made.decode([1, 4, 5, 12, 2]) == "ABI"
    assert (made.vocab_size(), made.unk_id()) == (tiny.VOCABULARY, 3)


def test_other_matrices_for_source_target_and_output(tmp_path: Path) -> None:
    """log P by transformers 5.24.  The configuration does not tie the matrices."""
    content = tiny.bart_tensors()
    random = np.random.default_rng(10)
    names = ("lm_head", "model.encoder.embed_tokens", "model.decoder.embed_tokens")
    for name in names:
        table = random.normal(0, 0.7, (tiny.VOCABULARY, tiny.WIDTH))
        content[f"{name}.weight"] = table.astype(np.float32)
    changes = {"tie_word_embeddings": False, "activation_function": "gelu"}
    model = sources.read(tiny.write(tmp_path, content, **(tiny.BART | changes)))
    np.testing.assert_allclose(log_probabilities(model, SOURCE, TARGET), UNTIED, atol=2e-5)


def test_a_tied_matrix_may_have_one_of_its_names_alone(tmp_path: Path) -> None:
    wanted = dict(sources.read(write(tmp_path)).tensors)
    content = tiny.bart_tensors()
    content["model.decoder.embed_tokens.weight"] = content.pop("model.shared.weight")
    found = sources.read(tiny.write(tmp_path, content, **tiny.BART)).tensors
    assert found.keys() == wanted.keys()
    np.testing.assert_array_equal(found["output.weight"], wanted["output.weight"])


def test_the_body_alone(tmp_path: Path) -> None:
    content = {n.removeprefix("model."): v for n, v in tiny.bart_tensors().items()}
    content.pop("final_logits_bias")
    model = sources.read(tiny.write(tmp_path, content, **tiny.BART))
    assert "output.bias" not in model.tensors


def test_the_token_that_a_search_forces_begins_translations(tmp_path: Path) -> None:
    for changes, prefix in (
        ({"forced_bos_token_id": None}, (1,)),
        ({"forced_bos_token_id": 1}, (1,)),
        ({"forced_bos_token_id": 7}, (7,)),
    ):
        model = sources.read(write(tmp_path, **changes))
        assert model.generation.target_prefix == prefix
    (tmp_path / "generation_config.json").write_text('{"forced_bos_token_id": 9}')
    assert sources.read(tmp_path).generation.target_prefix == (9,)
    assert tmp_path / "generation_config.json" in sources.files(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"forced_bos_token_id": "x"}')
    with pytest.raises(CheckpointError, match="forced_bos_token_id"):
        sources.read(tmp_path)


def test_the_configuration_may_have_the_name_of_the_checkpoint(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "config.json").rename(tmp_path / "model_config.json")
    assert "encoder.embedding_norm" in sources.read(path).program.producers()
    assert [file.name for file in sources.files(tmp_path)] == [path.name, "model_config.json"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation_function": "tanh"}, "activation_function"),
        ({"normalize_before": True}, "normalize_before"),
        ({"normalize_embedding": False}, "normalize_embedding"),
        ({"static_position_embeddings": True}, "static_position_embeddings"),
        ({"tie_word_embeddings": False}, "missing output.weight [13, 8]"),
        ({"forced_bos_token_id": 13}, "target_prefix=(13,) is outside the vocabulary"),
        ({"forced_bos_token_id": -1}, "forced_bos_token_id"),
        ({"extra_pos_embeddings": 0}, "extra_pos_embeddings"),
        ({"tie_encoder_decoder": True}, "tie_encoder_decoder"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder"),
        ({"architectures": ["BartForSequenceClassification"]}, "labels texts"),
        ({"bos_token_id": 13}, "source tokens [13, 2] are outside a vocabulary of 13"),
        ({"d_model": 16}, "wrong shape source_embedding [13, 8], expected [13, 16]"),
        ({"vocab_size": 12}, "wrong shape source_embedding [13, 8], expected [12, 8]"),
        ({"max_position_embeddings": 63}, "wrong shape positions [64, 8], expected [63, 8]"),
        ({"encoder_ffn_dim": 16}, "encoder_ffn_dim and decoder_ffn_dim differ"),
        ({"decoder_layers": 3}, "missing decoder.2.self.query.weight"),
        ({"decoder_layers": 1}, "unused model.decoder.layers.1.fc1.bias"),
        ({"grapheme_chars": "abcdef"}, "characters of the source: not those"),
        ({"phoneme_chars": "____" + "a" * 10}, "characters of the target: not those"),
        ({"phoneme_chars": "____aa"}, "the ids are not 0 to"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(CheckpointError) as caught:
        sources.read(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@FUZZ
@given(data=st.data())
def test_damage_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = write(tmp_path, **CHARACTERS)
    damage(data, [path, tmp_path / "config.json"], 4000)
    hugging_face_bart.recognises(path)
    with contextlib.suppress(CheckpointError):
        hugging_face_bart.read(path)


REAL = {
    "hello": ("həlˈO", [-0.0, -0.00154, -3.22599, -0.00016, -0.00019, -0.0387, -6e-05]),
    "sitting": ("sˈɪɾɪŋ", [-0.0, -1e-05, -0.00024, -1e-05, -2e-05, -6e-05, -0.0, -0.0]),
}
"""A word, its pronunciation, and log P by transformers, with begin and end."""
RIGHT = 287
"""Number of right words of 400, by transformers in float32 with greedy search."""


@pytest.fixture
def real(real_model: Callable[[str], Path]) -> Path:
    """A real model of the pronunciation of American English, with its lexicon."""
    return real_model("misaki-bart-g2p")


def test_a_real_model(real: Path) -> None:
    model = sources.read(real)
    made = sentencepiece.SentencePieceProcessor(model_proto=model.tokenizers["target"])
    for word, (pronunciation, wanted) in REAL.items():
        (ids,) = tokenize(model, [word])
        found = log_probabilities(model, ids, [1, *made.encode(pronunciation)])
        np.testing.assert_allclose(found, wanted, atol=3e-5)
    (ids,) = tokenize(model, ["Quantised"])
    assert made.decode(greedy(model, [ids])[0]) == "kwˈɑntIzd"


def test_a_real_model_in_integers(real: Path, tmp_path: Path) -> None:
    """The number of right words is at most four lower than in float32.

    The scores equal the scores of the integer search.
    """
    lexicon = json.loads(lzma.decompress((real / "us_gold.json.xz").read_bytes()))
    words = [(word, said) for word, said in lexicon.items() if isinstance(said, str)]
    calibration, out = tmp_path / "words", tmp_path / "made.safetensors"
    calibration.write_text("".join(f"{word}\n" for word, _ in words[5 :: len(words) // 400]))
    arguments = ["-o", str(out), "--calibration", str(calibration), "--name", "g2p", "-q"]
    assert main([str(real), *arguments]) == 0
    translator = int8ref.load(out)
    chosen = words[:: len(words) // 400][:400]
    options = int8ref.Options(scores=True)
    found = translator.translate([word for word, _ in chosen], options)
    right = sum(result.text == said for result, (_, said) in zip(found, chosen, strict=True))
    assert right >= RIGHT - 4
    again = translator.score(chosen[0][0], found[0].text, options)
    assert again.best.ids == found[0].best.ids
    assert again.best.scores == found[0].best.scores
